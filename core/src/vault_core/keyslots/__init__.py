"""Key slots: create, unlock, upgrade and rekey them. The file format is below, in :mod:`vault_core.vlt`; here is what
asks passphrase sources and the user."""
