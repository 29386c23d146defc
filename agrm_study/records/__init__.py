"""Ledger of finished trials, their epochs and predictions: the single source of truth for completed work."""
