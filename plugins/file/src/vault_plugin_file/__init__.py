"""awsv: the encrypted file store, the default backend."""
