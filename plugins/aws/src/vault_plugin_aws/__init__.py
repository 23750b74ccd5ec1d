"""awsv: session providers on boto3."""
