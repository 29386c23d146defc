"""Names of the arms of a grid, composed of the symbols and values of its factors: ``τ=0.8, α=0.99``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

SYMBOLS: dict[str, str] = {
    "ssl.threshold.tau": "τ",
    "ssl.ema.alpha": "α",
    "ssl.ramp.epochs": "ramp",
    "ssl.ramp.maximum": "λ",
    "ssl.pretrain_epochs": "pre-training",
    "ssl.threshold.policy": "policy",
    "ssl.threshold.n_sigma": "n_σ",
    "ssl.pseudo.weight": "pseudo weight",
    "ssl.pseudo.mode": "pseudo",
    "model.pooling.name": "pooling",
    "model.pooling.bins": "bins",
    "loss.name": "loss",
    "loss.focal_gamma": "γ",
    "loss.class_balanced_beta": "β",
    "optimizer.name": "optimizer",
    "data.labelled_fraction": "labels",
    "data.unlabelled_train": "unlabelled",
    "batch.labelled": "batch",
    "batch.unlabelled": "unlabelled batch",
    "clip.frames": "T",
}
"""Short names of factors; for other factors, the last part of the dotted name is used."""


def symbols(names: Sequence[str]) -> dict[str, str]:
    """A short, unique name for each factor; if two would be equal, a longer part of the dotted name is used."""
    chosen = {name: SYMBOLS.get(name, name.rsplit(".", 1)[-1]) for name in names}
    counts = Counter(chosen.values())
    for name, symbol in chosen.items():
        if counts[symbol] > 1:
            chosen[name] = ".".join(name.split(".")[-2:]) if name not in SYMBOLS else symbol
    return chosen if len(set(chosen.values())) == len(chosen) else {name: name for name in names}


def arm_name(assigned: Mapping[str, tuple[str | None, Any]], symbol_of: Mapping[str, str]) -> str:
    """The name of an arm, from a mapping of dotted names to (label or None, value); a label replaces the value text."""
    return ", ".join(label or f"{symbol_of[name]}={value_text(value)}" for name, (label, value) in assigned.items())


def value_text(value: Any) -> str:
    """A short text for a value; bins are written as ``1+2²+4²``, other lists are joined with ``/``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        items = list(value)
        if items and all(_is_bin(item) for item in items):
            return "+".join(_bin_text(rows, columns) for rows, columns in items)
        return "/".join(value_text(item) for item in items) or "none"
    return str(value)


def rounded(value: Any) -> Any:
    """The value, with floats rounded to four significant digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _is_bin(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and all(type(part) is int for part in item)


def _bin_text(rows: int, columns: int) -> str:
    if rows == columns:
        return "1" if rows == 1 else f"{rows}²"
    return f"{rows}×{columns}"
