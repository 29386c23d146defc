"""The `agrm-study` entry point: dispatches to commands and maps errors to exit codes 0, 1, 2 and 130."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from io import TextIOWrapper
from pathlib import Path

import click

from agrm_study import __version__
from agrm_study.cli import (
    check_part,
    clean,
    compare,
    data,
    doctor,
    evaluate,
    explain,
    export,
    init,
    log,
    plan,
    predict,
    report,
    run,
    schema,
    status,
    submission,
    verify,
    watch,
)
from agrm_study.study.errors import InputError
from agrm_study.study.object_store import store_error_text
from agrm_study.study.terminal import printable

EXIT_WRONG_INPUT = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
STORAGE_FAULTS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
        errno.ENAMETOOLONG,
    }
)  # fmt: skip
"""Operating-system errors caused by the path or the disk, not by a bug in agrm-study."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="For screening research only; not a diagnostic device.",
)
@click.version_option(__version__, prog_name="agrm-study")
def app() -> None:
    """Run hyperparameter and ablation studies of semi-supervised video models, defined in one file."""


for command in (
    run.run, plan.plan, status.status, watch.watch, report.report, compare.compare, data.data, init.init, doctor.doctor,
    schema.schema, explain.explain, export.export, predict.predict, log.log, check_part.check_part,
    submission.submission,
    verify.verify, clean.clean, evaluate.evaluate,
):  # fmt: skip
    app.add_command(command)


def main() -> None:
    """Entry point of ``agrm-study``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal's encoding may lack a character of an arm's name
    try:
        code = app.main(standalone_mode=False)
        sys.stdout.flush()
    except InputError as problem:
        click.echo(printable(f"error: {problem}"), err=True)
        code = EXIT_WRONG_INPUT
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: finished trials are kept; the same command resumes the others", err=True)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed the pipe (a pager, `head`), so nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as fault:
        code = _storage_error(fault) or _internal_error(fault)
    sys.exit(code if isinstance(code, int) else 0)


def _storage_error(fault: Exception) -> int:
    """Report inaccessible storage in one message and return the exit code; return 0 for any other error."""
    if os.environ.get("AGRM_STUDY_TRACEBACK") or not isinstance(fault, OSError):
        return 0
    if said := store_error_text(fault):
        click.echo(f"error: the object store cannot be used: {said}", err=True)
        return EXIT_WRONG_INPUT
    if not fault.filename and fault.errno == errno.ENOENT and not _working_folder_exists():
        click.echo("error: the working directory no longer exists; change to an existing directory.", err=True)
        return EXIT_WRONG_INPUT
    if not fault.filename and fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # buffered output can no longer be written
        click.echo(f"error: the output cannot be written: {str(fault.strerror).lower()}", err=True)
        return EXIT_WRONG_INPUT
    if not fault.filename or fault.errno not in STORAGE_FAULTS:
        return 0
    click.echo(
        f"error: {fault.filename}: {str(fault.strerror).lower()}. Check the path, the free disk space and your "
        "permissions.",
        err=True,
    )
    return EXIT_WRONG_INPUT


def _working_folder_exists() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _internal_error(fault: Exception) -> int:
    """Report a bug in agrm-study in one message, and write the traceback to a file that can be attached to a bug
    report."""
    if os.environ.get("AGRM_STUDY_TRACEBACK"):
        traceback.print_exception(fault)
        return EXIT_INTERNAL
    with tempfile.NamedTemporaryFile("w", prefix="agrm-study-", suffix=".log", delete=False) as log:
        traceback.print_exception(fault, file=log)
    summary = str(fault).strip().splitlines()
    click.echo(
        f"internal error: {type(fault).__name__}: {summary[0] if summary else ''}\n"
        "This is a bug in agrm-study, not a problem with your input. Finished trials are kept. "
        f"Details: {Path(log.name)}",
        err=True,
    )
    return EXIT_INTERNAL
