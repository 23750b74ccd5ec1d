"""The core of awsv: contracts, plugin loading, AWS profiles, session engine and command line.

Public: :mod:`vault_core.api` and :mod:`vault_testkit`. Everything else may change without notice.
"""
