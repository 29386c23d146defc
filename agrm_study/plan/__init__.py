"""The plan of a study: its trials, their identity, their stages and their cost."""
