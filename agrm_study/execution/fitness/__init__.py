"""Is this machine fit to run a study? One check a question, each with what to do when the answer is no."""
