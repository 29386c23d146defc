"""Tables, figures and pages of a study, made from its records alone."""
