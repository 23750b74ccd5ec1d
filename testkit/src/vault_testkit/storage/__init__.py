"""The contract of storage backends, in parts that each look at one promise."""

from vault_testkit.purity import Purity
from vault_testkit.storage.basic import Basic, Deletion, Listing
from vault_testkit.storage.concurrency import Processes
from vault_testkit.storage.conditions import CheckAndSet, CreateOnly
from vault_testkit.storage.content import Keys, Values
from vault_testkit.storage.durability import Durability
from vault_testkit.storage.sealed import Sealed
from vault_testkit.storage.secrecy import Secrecy
from vault_testkit.storage.shared import Shared
from vault_testkit.storage.trouble import Errors, Locked


class StorageContract(
    Basic,
    Keys,
    Values,
    Listing,
    Deletion,
    CreateOnly,
    CheckAndSet,
    Shared,
    Durability,
    Processes,
    Sealed,
    Locked,
    Errors,
    Secrecy,
    Purity,
):
    """Everything that a storage backend promises, as tests; a plugin inherits them (see :mod:`vault_testkit`).

    What the spec does not declare is skipped with a reason. Every test works under key names with a random prefix of
    its own, so it may run against a store that others use, and removes them afterwards, even if it failed.
    """
