"""Fixtures for tests of the trainer."""

from tiny_training import make_record, make_store, tiny_data, tiny_recipe

__all__ = ["make_record", "make_store", "tiny_data", "tiny_recipe"]
