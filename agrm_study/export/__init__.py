"""A finished trial as a folder that predicts: weights, recipe and model card, and the predictions themselves."""
