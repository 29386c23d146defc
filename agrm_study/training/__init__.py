"""Training of a single trial, from data to predictions; independent of Ray, studies and tables."""
