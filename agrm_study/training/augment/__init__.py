"""Augmentation: views of clips, with parameters sampled in numpy and applied in torch."""
