"""Which layouts of videos on disk can be read?"""
