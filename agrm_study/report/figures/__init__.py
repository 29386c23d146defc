"""Which figures can a report hold?"""
