"""Sessions: what a profile needs (plan), doing it (engine), keeping it (cache), and doing it once (flight)."""
