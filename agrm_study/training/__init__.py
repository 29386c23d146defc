"""One trial: data in, epochs, predictions out. Knows nothing of Ray, studies or tables."""
