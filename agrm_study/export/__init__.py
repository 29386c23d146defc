"""Export of finished trials as model folders (weights, recipe, model card), and prediction with them."""
