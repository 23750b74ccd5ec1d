"""Handing the address of the web console to a browser, without showing it to anybody else."""
