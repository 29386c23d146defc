"""How does somebody who went home hear that a run has ended? A command of theirs is run."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from agrm_study.study.errors import InputError

VARIABLE: Final = "AGRM_STUDY_NOTIFY"
TIMEOUT_S: Final = 30.0


def notifier(command: str, field: str = "--notify") -> tuple[str, ...]:
    """The words of a command; no shell reads them.

    Raises:
        InputError: It has no words, an open quote, or a program that is not there.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as fault:
        raise InputError(f"must be a command ({str(fault).lower()})", field=field, given=command) from None
    if not words:
        raise InputError("must be a command", field=field, given=command, allowed="e.g. notify-send")
    if shutil.which(words[0]) is None:
        raise InputError(
            "the program of the command is not there, or may not be run",
            field=field,
            given=words[0],
            hint="No shell reads the command: write pipes and variables into a script of your own.",
        )
    return words


def notify(words: Sequence[str], sentence: str, facts: dict[str, Any], *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Run the command with the sentence as its last argument and the facts as JSON on its standard input.

    Args:
        words: Of `notifier`.
        sentence: What has happened, in one line.
        facts: The run's summary in plain JSON values.
        timeout_s: Seconds after which the command is ended.

    Returns:
        What went wrong, as a message; None when the command ended with 0.
    """
    text = json.dumps(facts, ensure_ascii=False) + "\n"
    try:
        done = subprocess.run(
            [*words, sentence], input=text, text=True, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"The notification was ended: {words[0]} took longer than {timeout_s:g} s."
    except OSError as fault:
        return f"The notification failed: {words[0]}: {fault.strerror}."
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return f"The notification failed: {words[0]} ended with {done.returncode}" + (f": {last}" if last else ".")
    return None
