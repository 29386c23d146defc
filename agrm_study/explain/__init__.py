"""What the model looked at: Grad-CAM and occlusion on finished trials."""
