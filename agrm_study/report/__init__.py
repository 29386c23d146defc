"""What a person reads: tables, figures and pages made from records alone."""
