"""Evaluation of finished trials on other data than their own."""
