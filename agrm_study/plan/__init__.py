"""What will run: expansion into trials, their identity, their stages and their cost."""
