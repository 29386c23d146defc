"""Conformance checks of each kind of part, for shipped and user-defined parts."""
