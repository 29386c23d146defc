"""Evaluation of finished trials on data other than their own."""
