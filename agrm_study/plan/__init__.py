"""Plan of a study: trials, their identities, shared stages, and cost."""
