"""What does a person see while a study runs? A live picture on a terminal, plain lines elsewhere."""
