"""The hot path: a live session is answered from a memo, before anything else of awsv is imported (ADR 31)."""
