"""What does a person type? One module a verb, each importing what it needs when it is called."""

from agrm_study.cli.app import main

__all__ = ["main"]
