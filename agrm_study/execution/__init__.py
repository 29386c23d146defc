"""How the plan is carried out: trials on Ray Tune, failures, interruption, progress."""
