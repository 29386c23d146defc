"""Metrics, intervals and tests as pure functions on arrays."""
