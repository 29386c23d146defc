"""Semi-supervised learning: mean teacher, ramp-up, pseudo-labels, threshold policies and losses."""
