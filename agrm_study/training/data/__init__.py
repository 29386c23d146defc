"""Input data of a trial: manifests, splits and decoded clips."""
