"""What a trial reads: manifests, splits, decoded clips, augmented batches."""
