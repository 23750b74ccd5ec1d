"""Import of keys from aws-vault."""
