"""What the numbers mean: pure functions on arrays."""
