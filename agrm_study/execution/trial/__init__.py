"""Execution of one trial on a worker, from its start to its record."""
