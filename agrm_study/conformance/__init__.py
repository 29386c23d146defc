"""Conformance checks for each kind of part, shipped or user-defined."""
