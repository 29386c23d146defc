"""Augmentation: views of clips, with parameters drawn in numpy and applied in torch."""
