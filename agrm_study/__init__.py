"""Distributed hyperparameter and ablation studies of semi-supervised video models.

Importing the package loads neither torch nor ray; each verb of the command line imports what it needs.
"""

__version__ = "0.1.0"
