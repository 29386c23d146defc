"""Conformance checks of each kind of part, for shipped parts and users' own."""
