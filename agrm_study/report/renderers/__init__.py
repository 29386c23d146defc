"""Which formats can a table be written in?"""
