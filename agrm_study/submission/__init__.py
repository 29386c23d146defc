"""Material for a publication, made from the records of a study, and its verification against them."""
