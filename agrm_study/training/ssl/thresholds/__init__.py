"""Which policies accept pseudo-labels?"""
