"""The AWS shared config file: reading it as botocore does, and editing it without loss."""
