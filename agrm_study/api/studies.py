"""Loading of studies from Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agrm_study.api.names import read_study
from agrm_study.study.study import Study


def load_study(
    study: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    preset: str | None = None,
) -> Study:
    """Load and check a study.

    Args:
        study: A study file, the name of a shipped study, or the content of a study file as a dict. Relative paths in a
            dict are resolved against the working directory.
        overrides: Settings of every arm, or keys of the study, to override: ``{"epochs": 60}``, or strings in
            the format of ``--set`` (``["epochs=60"]``).
        preset: Name or file of a preset to apply to the study (``tiny``).

    Raises:
        InputError: If the study is invalid; one message lists every error with file, line, field, rule and value.

    Examples:
        >>> import agrm_study as ags
        >>> study = ags.load_study("ablation", overrides={"epochs": 60, "seeds": [0, 1]})
        >>> [arm.name for arm in study.arms]
        ['AGRM', 'w/o MTM', 'w/o SHPM', 'w/o both', 'EMA only']
        >>> study.base.epochs, study.seeds
        (60, (0, 1))

        A study can also be given as a dict:

        >>> study = ags.load_study({
        ...     "name": "alpha", "tasks": ["two_class"], "seeds": 3, "data": {"synthetic": {"subjects": 30}},
        ...     "grid": {"ssl.ema.alpha": [0.9, 0.99]},
        ... })
        >>> [arm.name for arm in study.arms]
        ['α=0.9', 'α=0.99']
        >>> ags.load_study("ablation", overrides={"ssl.ema.alfa": 0.9})
        Traceback (most recent call last):
            ...
        agrm_study.study.errors.InputError: --set ssl.ema.alfa=0.9: ... Did you mean `ssl.ema.alpha`?
    """
    texts = overrides
    if isinstance(overrides, Mapping):
        texts = [f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in overrides.items()]
    return read_study(study, tuple(texts), preset)
