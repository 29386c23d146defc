"""Study files, recipes and their validation."""
