"""Checks of this machine; each finding that would stop a study comes with a remedy."""
