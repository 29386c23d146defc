"""Material for a publication, generated from the records of a study, and its verification against them."""
