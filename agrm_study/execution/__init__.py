"""Execution of a plan: trials on Ray Tune, failures, interruption, progress."""
