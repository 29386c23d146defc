"""Notification at the end of a run, by a user-defined command."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any, Final

from agrm_study.study.errors import InputError

VARIABLE: Final = "AGRM_STUDY_NOTIFY"
TIMEOUT_S: Final = 30.0
_OPERATORS: Final = frozenset("();<>|&")
_IN_A_SCRIPT: Final = "No shell runs the command: put pipes, redirections and variables into a script."


def notifier(command: str, field: str = "--notify") -> tuple[str, ...]:
    """Splits a command into words; it is run without a shell.

    Raises:
        InputError: If the command is empty, has an unclosed quote or a shell operator, or its program cannot be run.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as fault:
        raise InputError(f"must be a command ({str(fault).lower()})", field=field, given=command) from None
    if not words:
        raise InputError("must be a command", field=field, given=command, allowed="e.g. notify-send")
    if operator := _operator(command):
        raise InputError(
            f"must be a single command without the shell operator `{operator}`",
            field=field,
            given=command,
            hint=_IN_A_SCRIPT,
        )
    if shutil.which(words[0]) is None:
        raise InputError(
            "the program of the command does not exist or is not executable",
            field=field,
            given=words[0],
            hint=_IN_A_SCRIPT,
        )
    return words


def _operator(command: str) -> str:
    """The first shell operator outside quotes; empty if there is none, or if an escaped quote hides it."""
    lexer = shlex.shlex(command, posix=False, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return next((token for token in lexer if _OPERATORS.issuperset(token)), "")
    except ValueError:
        return ""


def notify(words: Sequence[str], sentence: str, facts: dict[str, Any], *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Runs the command with the sentence as its last argument and the facts as JSON on its standard input.

    The command may leave processes in the background: its output goes to a file, so `notify` does not wait for them.

    Returns:
        An error message; None if the command exited with 0. No error is raised: a notifier must not affect the end of a
        run.
    """
    text = json.dumps(facts, ensure_ascii=False) + "\n"
    try:
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write(text.encode("utf-8", "backslashreplace"))
            given.seek(0)
            done = subprocess.run(
                [*words, sentence],
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=timeout_s,
                check=False,
            )
            errors.seek(0)
            written = errors.read().decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return f"The notification was stopped: {words[0]} took longer than {timeout_s:g} s."
    except KeyboardInterrupt:
        return f"The notification was interrupted: {words[0]} was stopped."
    except (OSError, ValueError) as fault:
        return f"The notification failed: {words[0]}: {getattr(fault, 'strerror', None) or fault}."
    if done.returncode:
        last = (written.strip().splitlines() or [""])[-1]
        end = f": {last}" if last else "."
        return f"The notification failed: {words[0]} exited with code {done.returncode}{end}"
    return None
