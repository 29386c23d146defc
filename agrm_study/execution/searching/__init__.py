"""The search phase: what Optuna suggests becomes trials."""
