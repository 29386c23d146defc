"""Which trial runs next."""
