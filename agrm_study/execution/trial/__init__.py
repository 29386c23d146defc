"""One trial on a worker, from start to record."""
