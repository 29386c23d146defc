"""Which pooling layers are there?"""
