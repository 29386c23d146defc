"""Progress of a study: its state as read from the results folder, the time left, and the views."""
