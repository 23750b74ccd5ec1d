"""awsv: passphrase and MFA code from the terminal."""
