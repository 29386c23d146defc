"""Trials on Ray and its Tune."""
