"""The results folder of a running study."""
