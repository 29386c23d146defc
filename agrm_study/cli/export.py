"""The `export` command: writes a finished trial as a folder with weights, recipe and model card."""

from __future__ import annotations

from pathlib import Path

import click

from agrm_study.cli.completion import complete_results


@click.command(short_help="Export the best network of an arm to a folder.")
@click.argument("results", type=str, shell_complete=complete_results)
@click.argument("trial", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder for the exported model."
)
@click.option(
    "--arm", default=None, metavar="NAME", help="[default: the reference, or else the best on validation data]"
)
@click.option("--task", default=None, metavar="TASK", help="[default: the study's first]")
@click.option("--seed", type=int, default=None, help="[default: the best on validation data]")
def export(results: str, trial: str | None, out: Path, arm: str | None, task: str | None, seed: int | None) -> None:
    """Write the network of a finished TRIAL of RESULTS: weights (safetensors), recipe and model card.

    TRIAL is a trial id or a prefix of one; without it, the best seed of an arm on validation data is selected. The test
    part is not used for the selection. `agrm-study predict FOLDER VIDEO` uses the exported model.
    """
    from agrm_study.export.chosen import FinishedStudy
    from agrm_study.export.recipe_file import NOTICE
    from agrm_study.export.write import export as export_trial

    if trial is not None and not (arm is None and task is None and seed is None):
        raise click.UsageError("specify a TRIAL, or an arm (--arm, --task, --seed), not both")
    study = FinishedStudy(results)
    choice = study.by_id(trial) if trial is not None else study.best(arm, task, seed)
    made = export_trial(study, choice, out)
    click.echo(
        f"{choice.arm}, {choice.recipe.task.name}, seed {choice.recipe.seed} ({choice.reason}), epoch "
        f"{made.recipe.best_epoch}: for {NOTICE}",
        err=True,
    )
    click.echo(str(made.folder))
