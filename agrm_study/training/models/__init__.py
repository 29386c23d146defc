"""What a trial trains: a backbone, a pooling layer, a classifier."""
