"""Execution of trials on Ray Tune, or sequentially in this process."""
