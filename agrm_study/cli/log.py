"""The `log` command: exports a study to TensorBoard, MLflow, W&B or Optuna's dashboard."""

from __future__ import annotations

from pathlib import Path

import click

from agrm_study.cli.completion import complete_results
from agrm_study.cli.options import PARTS
from agrm_study.hooks import HOOKS
from agrm_study.study.counted import counted


@click.command(short_help="Export a study's trials to TensorBoard, MLflow, W&B or Optuna's dashboard.")
@click.argument("results", type=str, shell_complete=complete_results)
@click.option("--to", "name", required=True, metavar="NAME", help=f"Tracker: {', '.join(HOOKS)}, or one of --parts.")
@PARTS
@click.option(
    "--out", default=None, metavar="DIR|URI", help="Folder or URI to write to. [default: a folder in RESULTS]"
)
def log(results: str, name: str, parts: tuple[Path, ...], out: str | None) -> None:
    """Export the trials of RESULTS to a tracker: their curves, settings, final metrics and failures.

    All values come from the records, while the study runs or afterwards. A repeated export writes only new values.
    W&B runs stay on this machine unless WANDB_MODE specifies otherwise; only searches are exported to optuna.
    """
    from agrm_study.api.names import own_name
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.hooks.log import log_study

    with progress_bar(f"Writing trials for {name}") as on_progress:
        done = log_study(results, own_name("hook", name, parts), out, on_progress=on_progress)
    click.echo(f"{counted(done.written, 'trial')} written, {done.unchanged} unchanged", err=True)
    click.echo(done.where)
