import io
import sys

import pytest
from click.testing import CliRunner
from rich.console import Console
from synthetic_records import ABLATION, write_results

from agrm_study.cli.app import app
from agrm_study.execution.progress.rich_parts import Text
from agrm_study.study.terminal import escape, printable

HOSTILE = "\x1b]0;pwn\x07\x9b31m\u202eevil"
SENT = ("\x1b]0", "\x07", "\x9b", "\u202e")


def test_controls_and_direction_marks_are_shown_and_other_text_is_kept():
    assert printable(HOSTILE) == "\\x1b]0;pwn\\x07\\x9b31m\\u202eevil"
    assert printable("τ = 0.8 → Müller 漢字\n\tx") == "τ = 0.8 → Müller 漢字\n\tx"
    assert escape("[red]a\nb") == "\\[red]a\\nb"


def test_the_live_view_shows_them_too():
    stream = io.StringIO()
    Console(file=stream, force_terminal=True).print(Text(HOSTILE))
    assert not any(s in stream.getvalue() for s in SENT)


@pytest.mark.parametrize("verb", ["status", "report", "compare", "watch"])
def test_no_verb_sends_what_a_file_holds_to_the_terminal(tmp_path, verb, monkeypatch):
    text = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0]")

    def change(trial, blocks, rows):
        trial["arm"] = HOSTILE if trial["arm"] == "w/o both" else trial["arm"]
        trial["code_version"] = HOSTILE

    root = write_results(tmp_path / "r", text, subjects=18, epochs=4, change=change)
    plan = root / "plan.json"
    plan.write_text(plan.read_text().replace("w/o both", "\\u001b]0;pwn\\u0007\\u009b31m\\u202eevil"))
    options = {
        "report": ["--table", "arms", "--figure", "forest"],
        "compare": ["--by", "ssl.method"],
        "watch": ["--once"],
    }
    monkeypatch.setattr(sys, "argv", ["agrm-study"])
    result = CliRunner().invoke(app, [verb, str(root), *options.get(verb, [])])
    said = result.output + result.stderr
    assert said
    assert not any(s in said for s in SENT)
    assert "evil" in said or verb == "watch"
