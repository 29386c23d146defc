"""The results folder of a study that runs."""
