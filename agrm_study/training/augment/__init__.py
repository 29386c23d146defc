"""Views of clips: which frames, which crop, which colours. Parameters are drawn with numpy, applied with torch."""
