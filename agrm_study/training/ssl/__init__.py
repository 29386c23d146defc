"""How unlabelled clips teach: mean teacher, ramps, pseudo-labels, thresholds, losses."""
