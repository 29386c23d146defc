"""Parts: backbones, pooling layers, threshold policies, losses, layouts, tables, figures and hooks, by name."""
