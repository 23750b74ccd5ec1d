"""awsv: an isolated botocore session for plugins that call AWS."""
