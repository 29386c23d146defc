"""What a trial takes, and what a machine can hold."""
