"""Conformance checks for hooks."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agrm_study.conformance.checks import must
from agrm_study.conformance.made_records import ABLATION, write_results
from agrm_study.hooks import hook_class
from agrm_study.hooks.log import log_study
from agrm_study.hooks.trial_log import StudyLog, stamp

_STUDY = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]")
_LATER = ("AGRM", "two_class", 1)
_FAILED = ("w/o MTM", "three_class", 0)


@contextmanager
def _results(skip: list[tuple[str, str, int]]) -> Iterator[Path]:
    """A results folder of a small study with a failed trial, for the duration of the block."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        _write(root, skip)
        yield root


def _write(root: Path, skip: list[tuple[str, str, int]]) -> None:
    write_results(root, _STUDY, subjects=18, epochs=2, skip=skip, failed=[_FAILED], parts=("test", "val"))


def _stamps(name: str, root: Path, out: str | None = None) -> dict[str, str]:
    with hook_class(name)(out, StudyLog(root)) as hook:
        return dict(hook.stamps())


def _wanted(name: str, root: Path) -> dict[str, str]:
    """The stamps that the hook must store, one for each record that it accepts."""
    study = StudyLog(root)
    with hook_class(name)(None, study) as hook:
        return {trial_id: stamp(record) for trial_id, record in study.records().items() if hook.wanted(record)}


def has_a_docstring(name: str) -> None:
    """The class has a docstring."""
    must(hook_class(name).__doc__, "the docstring is missing")


def every_trial_has_one_entry(name: str) -> None:
    """Every trial to be exported, including failed ones, has an entry with the stamp of its record."""
    with _results([]) as root:
        log_study(root, name)
        found, wanted = _stamps(name, root), _wanted(name, root)
        must(set(found) == set(wanted), f"{len(set(wanted) - set(found))} of {len(wanted)} trials have no entry")
        must(found == wanted, "stamps differ from the stamps of the records; store `trial.stamp` with the entry")


def a_second_time_writes_nothing(name: str) -> None:
    """Logging a study again does not write anything."""
    with _results([]) as root:
        first = log_study(root, name)
        again = log_study(root, name)
        must(again.written == 0, f"{again.written} of {first.written} trials were written again")


def new_trials_are_added(name: str) -> None:
    """A trial that ends later is added; the entries of other trials are kept."""
    with _results([_LATER]) as root:
        log_study(root, name)
        before = _stamps(name, root)
        cells = itertools.product(("AGRM", "w/o MTM", "w/o SHPM", "w/o both"), ("two_class", "three_class"), (0, 1))
        _write(root, [cell for cell in cells if cell != _LATER])
        done = log_study(root, name)
        after = _stamps(name, root)
        must(done.written == 1, f"{done.written} trials were written")
        must(all(after.get(trial_id) == stamp for trial_id, stamp in before.items()), "other entries changed")


def the_place_is_followed(name: str) -> None:
    """With `out`, nothing is written into the results folder."""
    with _results([]) as root, tempfile.TemporaryDirectory() as out:
        before = {path for path in root.rglob("*") if path.is_file()}
        log_study(root, name, str(Path(out) / "log"))
        must({path for path in root.rglob("*") if path.is_file()} == before, "files of the results folder changed")
        must(_stamps(name, root, str(Path(out) / "log")), "no entry is found in `out`")


CHECKS = (
    has_a_docstring,
    every_trial_has_one_entry,
    a_second_time_writes_nothing,
    new_trials_are_added,
    the_place_is_followed,
)
