"""A user's command receives the outcome of a run, and its failures never affect the run."""

import json
import os
import subprocess
import sys
import time

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
    [("", "must be a command"), ("mail 'me", "no closing quotation"), ("no-such-program-here x", "does not exist")],
)
def test_a_command_that_cannot_be_is_refused_before_anything_runs(command, rule):
    with pytest.raises(InputError, match=rule):
        notifier(command)


def test_a_command_that_fails_or_hangs_is_a_message():
    failing = (sys.executable, "-c", "import sys; sys.exit('no network')")
    assert "exited with code 1: no network" in notify(failing, "x", {})
    hanging = (sys.executable, "-c", "import time; time.sleep(60)")
    assert "took longer than 0.5 s" in notify(hanging, "x", {}, timeout_s=0.5)
    assert "No such file" in notify(("/no/such/program",), "x", {})


def test_a_command_that_reads_nothing_is_fine():
    assert notify((sys.executable, "-c", "pass"), "x", {"large": "y" * 1_000_000}) is None


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("status", [0, 3])
def test_output_that_is_no_text_is_shown_as_far_as_it_goes(stream, status):
    script = f"import sys; sys.{stream}.buffer.write(b'\\xff\\xfe bad'); sys.{stream}.flush(); sys.exit({status})"
    problem = notify((sys.executable, "-c", script), "x", {})
    assert problem is None if status == 0 else "exited with code 3" in problem
    if status and stream == "stderr":
        assert problem.endswith("\ufffd\ufffd bad")


def test_a_process_that_the_command_leaves_in_the_background_is_not_waited_for(tmp_path):
    pid = tmp_path / "pid"
    script = f"import subprocess; open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '20']).pid))"
    began = time.monotonic()
    assert notify((sys.executable, "-c", script), "x", {}, timeout_s=15) is None
    assert time.monotonic() - began < 15
    os.kill(int(pid.read_text()), 9)


@pytest.mark.parametrize(
    ("command", "operator"),
    [
        ("{python} -c pass | mail me", "|"),
        ("{python} -c pass|mail me", "|"),
        ("{python} a && {python} b", "&&"),
        ("{python} a > out.txt", ">"),
        ("{python} a; {python} b", ";"),
        ("{python} a &", "&"),
        ("{python} a 2>&1", ">&"),
    ],
)
def test_an_operator_of_the_shell_is_named(command, operator):
    with pytest.raises(InputError, match="operator") as refused:
        notifier(command.format(python=sys.executable))
    assert f"`{operator}`" in str(refused.value)
    assert "into a script" in str(refused.value)


def test_a_quoted_operator_is_an_argument():
    assert notifier(f"{sys.executable} -c 'a | b' \"x; y\" c#d")[1:] == ("-c", "a | b", "x; y", "c#d")
    assert notifier(f"{sys.executable} it\\'s")[1:] == ("it's",)


def test_facts_and_words_that_no_encoding_holds_are_a_message_or_pass(tmp_path):
    path = str(tmp_path / "told.json")
    words = (sys.executable, "-c", WRITES.format(path=path))
    assert notify(words, "x", {"results": "/data/\udcff"}) is None
    assert json.loads((tmp_path / "told.json").read_text())[1] == {"results": "/data/\udcff"}
    assert "null" in notify(words, "a\0b", {})


def test_a_second_ctrl_c_ends_the_notification_alone(monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert "interrupted" in notify((sys.executable, "-c", "pass"), "x", {})
