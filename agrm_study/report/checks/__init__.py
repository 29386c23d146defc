"""Checks of the evidence, performed once before any number is computed."""
