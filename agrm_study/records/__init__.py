"""Ledger of finished trials, their epochs and predictions: the only source for what is done."""
