"""awsv: the passphrase from the environment, a file, a descriptor or a command."""
