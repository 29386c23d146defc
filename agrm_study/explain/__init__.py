"""Explanations of finished trials: Grad-CAM and occlusion."""
