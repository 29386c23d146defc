"""Progress of a study: the read model of its results folder, the time left, and the views."""
