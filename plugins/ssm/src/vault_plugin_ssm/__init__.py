"""awsv: the passphrase from a SecureString parameter of AWS SSM."""
