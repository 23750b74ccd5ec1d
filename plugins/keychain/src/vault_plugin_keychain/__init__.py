"""awsv: the operating system's keychain as a store, and as the keeper of a key to another store."""
