"""Check each plugin in a process of its own."""
