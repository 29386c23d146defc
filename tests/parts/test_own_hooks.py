"""User-defined hooks: checked like built-in parts, and used by `log`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hook_results import write_hook_results

from agrm_study.cli.app import app

HOOK = '''
"""One text file per trial."""

from pathlib import Path

import agrm_study as ags


@ags.hook("files")
class Files(ags.Hook):
    """Writes each trial's final metrics into a file."""

    name = "files"
    package = "json"

    def stamps(self):
        return {path.stem: path.read_text().splitlines()[0] for path in self.folder.glob("*.txt")}

    def write(self, trial):
        lines = [trial.stamp, *(f"{name} {value}" for name, value in sorted(trial.final.items()))]
        (self.folder / f"{trial.record['trial_id']}.txt").write_text("\\n".join(lines))

    def _place(self, out):
        return out or str(self._in_results("files"))

    def _open(self):
        self.folder = Path(self.out)
        self.folder.mkdir(parents=True, exist_ok=True)
'''


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), standalone_mode=False)
    assert done.exception is None, done.output
    return done.return_value or 0, done.output


def test_a_hook_of_ones_own_passes_the_checks_of_hooks(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HOOK)
    code, output = command("check-part", str(tmp_path / "mine.py"))
    assert (code, "hook files: 5 of 5 checks pass" in output) == (0, True), output


@pytest.mark.parametrize(
    ("old", "new", "promise"),
    [
        ("[trial.stamp, ", "['mine', ", "an entry with the stamp of its record"),
        ("return out or str(self._in_results", "return str(self._in_results", "nothing is written into the results"),
        ("self.folder.glob", "Path('/nowhere').glob", "Logging a study again does not write anything"),
    ],
)
def test_a_hook_that_breaks_a_promise_is_named(tmp_path: Path, old: str, new: str, promise: str) -> None:
    assert old in HOOK
    (tmp_path / "mine.py").write_text(HOOK.replace(old, new))
    code, output = command("check-part", str(tmp_path / "mine.py"))
    assert code == 1
    assert promise in output, output


def test_log_writes_to_a_hook_of_ones_own_and_the_second_time_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HOOK)
    results = write_hook_results(tmp_path / "results")
    log = ("log", str(results), "--parts", str(tmp_path / "mine.py"), "--to", "files")
    assert "6 trials written, 0 unchanged" in command(*log)[1]
    assert len(list((results / "files").glob("*.txt"))) == 6
    assert "0 trials written, 6 unchanged" in command(*log)[1]
