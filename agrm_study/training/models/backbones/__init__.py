"""Which backbones are there?"""
