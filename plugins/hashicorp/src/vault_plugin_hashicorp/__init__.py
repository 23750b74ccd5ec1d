"""Storage and passphrase source on HashiCorp Vault or OpenBao."""
