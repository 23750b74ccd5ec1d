"""Rotation of stored access keys: what to do next is decided from facts alone, so a run that ended anywhere resumes."""
