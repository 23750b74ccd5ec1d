"""Moving in: keys that lie elsewhere are copied, compared and only then removed, and that can be taken back."""
