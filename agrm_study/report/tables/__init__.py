"""Which tables can a report hold?"""
