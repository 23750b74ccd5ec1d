"""Storage for awsv in ``pass``, the password store on GnuPG."""
