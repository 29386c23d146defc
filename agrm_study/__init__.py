"""Distributed hyperparameter and ablation studies of semi-supervised video models.

Importing the package loads neither torch, ray, pandas nor matplotlib: each public name is imported when it is first
used. The public names are listed in `__all__`; everything else may change without notice.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "Backbone": "agrm_study.training.models.backbones.base",
    "FigureKind": "agrm_study.report.figures.base",
    "Hook": "agrm_study.hooks.base",
    "InputError": "agrm_study.study.errors",
    "Layout": "agrm_study.training.data.datasets.layout",
    "Loss": "agrm_study.training.ssl.losses.supervised:SupervisedLoss",
    "Options": "agrm_study.study.parts.options",
    "Pooling": "agrm_study.training.models.pooling.base",
    "ResultTable": "agrm_study.api.result_table",
    "Results": "agrm_study.api.results",
    "RunWarning": "agrm_study.api.run",
    "Study": "agrm_study.study.study",
    "Sample": "agrm_study.training.trainer",
    "TableKind": "agrm_study.report.tables.base",
    "ThresholdPolicy": "agrm_study.training.ssl.thresholds.policy",
    "Trainer": "agrm_study.training.trainer",
    "Trial": "agrm_study.training.trainer",
    "backbone": "agrm_study.study.parts.decorators",
    "figure": "agrm_study.study.parts.decorators",
    "hook": "agrm_study.study.parts.decorators",
    "layout": "agrm_study.study.parts.decorators",
    "load_study": "agrm_study.api.studies",
    "loss": "agrm_study.study.parts.decorators",
    "open_results": "agrm_study.api.results",
    "pooling": "agrm_study.study.parts.decorators",
    "run": "agrm_study.api.run",
    "table": "agrm_study.study.parts.decorators",
    "threshold": "agrm_study.study.parts.decorators",
}
"""Public name → module that defines it, and its name in that module if different."""

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    found: object = getattr(import_module(module), attribute or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
