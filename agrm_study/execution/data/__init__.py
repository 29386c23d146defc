"""The data of a study, on every node."""
