"""Which supervised losses are there?"""
