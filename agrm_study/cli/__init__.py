"""Commands of the `agrm-study` command line, one module per command; each imports its dependencies when called."""

from agrm_study.cli.app import main

__all__ = ["main"]
