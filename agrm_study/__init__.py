"""Distributed hyperparameter and ablation studies of semi-supervised video models.

Importing the package loads neither torch, ray, pandas nor matplotlib: each public name is imported when it is first
used. What is public is listed in `__all__`; everything else may change without notice.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": "agrm_study.study.errors",
    "Results": "agrm_study.api.results",
    "ResultTable": "agrm_study.api.result_table",
    "RunWarning": "agrm_study.api.run",
    "Study": "agrm_study.study.study",
    "load_study": "agrm_study.api.studies",
    "open_results": "agrm_study.api.results",
    "run": "agrm_study.api.run",
}
"""Public name → module that defines it."""

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
