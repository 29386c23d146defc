"""Evaluation of finished trials on external sets and on corrupted copies of the test part."""
