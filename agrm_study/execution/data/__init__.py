"""Preparation of a study's data, and its distribution to every node."""
