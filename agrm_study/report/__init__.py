"""Tables, figures and report page of a study, generated from its records alone."""
