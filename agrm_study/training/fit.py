"""Training of one trial from its first to its last epoch.

Example:
    outcome = fit(recipe, store=store, manifest=manifest, split=split)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agrm_study.study.recipe import Recipe
from agrm_study.training.clipset import Store
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import Split
from agrm_study.training.loop import Training
from agrm_study.training.outcome import EpochReport, TrialOutcome


def fit(
    recipe: Recipe,
    *,
    store: Store,
    manifest: Manifest,
    split: Split,
    checkpoint_dir: Path | None = None,
    device: str = "cpu",
    on_epoch: Callable[[EpochReport], None] | None = None,
    resume: bool = True,
    evaluate_test: bool = True,
    identity: str | None = None,
    ahead: int = 0,
) -> TrialOutcome:
    """Train until the last epoch or early stopping, and save a checkpoint after every epoch.

    For arguments and errors, see `Training`.
    """
    training = Training(
        recipe,
        store=store,
        manifest=manifest,
        split=split,
        checkpoint_dir=checkpoint_dir,
        device=device,
        resume=resume,
        evaluate_test=evaluate_test,
        identity=identity,
        ahead=ahead,
    )
    with closing(training):
        while not training.done:
            report = training.run_epoch()
            training.save()
            if on_epoch is not None:
                on_epoch(report)
        return training.outcome()
