"""The AWS shared config file: reading it as botocore does, and editing it without loss."""

OWN_COMMANDS = ("awsv", "aws-vault")
"""Programs whose ``credential_process`` line means awsv itself."""
