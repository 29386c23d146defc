"""Scheduling of trials: queue, shared stages, races and searches."""
