"""Checks of the evidence, made once before any number is computed."""
