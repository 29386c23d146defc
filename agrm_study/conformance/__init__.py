"""Conformance checks for each kind of part, built-in or user-defined."""
