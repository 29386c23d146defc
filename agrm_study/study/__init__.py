"""What is asked: study files, recipes and their validation."""
