"""Is somebody told when a run ends, and does nothing that goes wrong with that reach the run?"""

import json
import sys

import pytest

from agrm_study.execution.notify import notifier, notify
from agrm_study.study.errors import InputError

WRITES = "import json, sys; json.dump([sys.argv[1:], json.load(sys.stdin)], open({path!r}, 'w'))"


def test_the_command_gets_the_sentence_as_its_last_word_and_the_facts_on_its_stdin(tmp_path):
    path = str(tmp_path / "told.json")
    words = (sys.executable, "-c", WRITES.format(path=path), "first word")
    assert notify(words, "demo: 2 of 2; $HOME `id` & more", {"finished": 2, "answer": "±"}) is None
    told = json.loads((tmp_path / "told.json").read_text())
    assert told == [["first word", "demo: 2 of 2; $HOME `id` & more"], {"finished": 2, "answer": "±"}]


def test_no_shell_reads_the_command():
    assert notifier(f"{sys.executable} -c 'pass' 'a b' $HOME")[1:] == ("-c", "pass", "a b", "$HOME")


@pytest.mark.parametrize(
    ("command", "rule"),
    [("", "must be a command"), ("mail 'me", "no closing quotation"), ("no-such-program-here x", "is not there")],
)
def test_a_command_that_cannot_be_is_refused_before_anything_runs(command, rule):
    with pytest.raises(InputError, match=rule):
        notifier(command)


def test_a_command_that_fails_or_hangs_is_a_message():
    failing = (sys.executable, "-c", "import sys; sys.exit('no network')")
    assert "ended with 1: no network" in notify(failing, "x", {})
    hanging = (sys.executable, "-c", "import time; time.sleep(60)")
    assert "took longer than 0.5 s" in notify(hanging, "x", {}, timeout_s=0.5)
    assert "No such file" in notify(("/no/such/program",), "x", {})


def test_a_command_that_reads_nothing_is_fine():
    assert notify((sys.executable, "-c", "pass"), "x", {"large": "y" * 1_000_000}) is None
