"""The order in which trials run: queue, shared stages, races and searches."""
