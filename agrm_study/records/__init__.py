"""Ledger of finished trials, their epochs and predictions: the only source of truth for completed work."""
