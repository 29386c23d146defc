"""The `explain` command: writes Grad-CAM panels and movies of a trial, and occlusion measurements over the seeds of its
arm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.counted import counted

if TYPE_CHECKING:
    from agrm_study.explain.network import Data
    from agrm_study.explain.trials import FinishedTrial
    from agrm_study.study.study import Study


@click.command()
@click.argument("results", type=str, shell_complete=complete_results)
@click.argument("trial", required=False)
@click.option("--arm", default=None, metavar="NAME", help="Explain a trial of this arm instead of TRIAL.")
@click.option("--seed", type=int, default=None, help="With --arm. [default: the study's first]")
@click.option("--task", default=None, metavar="TASK", help="With --arm. [default: the study's first]")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="[default: RESULTS/explain]")
@click.option(
    "--clips", type=click.IntRange(min=1), default=3, show_default=True,
    help="Number of clips per true class: correct clips over the range of confidence, and the most confident errors.",
)  # fmt: skip
@click.option(
    "--subjects", type=click.IntRange(min=0), default=None,
    help="Number of test subjects in the occlusion check; 0 skips it. [default: all]",
)  # fmt: skip
@click.option(
    "--boxes", type=click.Choice(["person", "legs"]), default=None,
    help="Content of the person boxes. [default: legs for synthetic data, else person]",
)  # fmt: skip
@click.option("--device", default=None, help="cpu, cuda or cuda:N. [default: a GPU if there is one]")
def explain(
    results: str,
    trial: str | None,
    arm: str | None,
    seed: int | None,
    task: str | None,
    out: Path | None,
    clips: int,
    subjects: int | None,
    boxes: Literal["person", "legs"] | None,
    device: str | None,
) -> None:
    """Show which regions a finished TRIAL of RESULTS relies on, and measure this for every seed of its arm.

    TRIAL is a trial id or a prefix of one. Figures and videos are written to OUT/<trial id>, and numbers to
    OUT/occlusion.csv and OUT/occlusion.md.

    The occlusion check hides each region of every test subject for every network of the arm. On a CPU this takes
    minutes (about four for the demo); --subjects 12 uses only 12 subjects, and --subjects 0 creates only the figures
    and videos.
    """
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.explain.run import Options
    from agrm_study.explain.run import explain as explain_trial
    from agrm_study.explain.trials import FinishedTrials
    from agrm_study.study.errors import InputError

    if (trial is None) == (arm is None):
        raise click.UsageError("specify one trial: its id, or --arm NAME (with --seed and --task)")
    if trial is not None and not (seed is None and task is None):
        raise click.UsageError("--seed and --task require --arm; a TRIAL determines both")
    if "://" in results:
        raise InputError(
            "must be on this machine, with its checkpoints",
            where=results,
            hint="Copy the folder, e.g. with `aws s3 cp --recursive` or `gcloud storage cp --recursive`.",
        )
    folder = Path(results)
    finished = FinishedTrials(folder)
    chosen = finished.by_id(trial) if trial is not None else finished.by_cell(str(arm), seed, task)
    data, synthetic = _data(finished.study, chosen, folder)
    if boxes is None:
        boxes = "legs" if synthetic else "person"
    options = Options(
        out=out or folder / "explain", clips=clips, subjects=subjects, boxes=boxes, device=device or _device()
    )
    with progress_bar("Hiding parts of clips") as on_progress:
        made = explain_trial(finished, chosen, data, options, on_progress)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    mistakes = sum(not each.correct for each in made.shown)
    click.echo(
        f"{counted(len(made.shown), 'clip')} of {chosen.arm}, {chosen.task}, seed {chosen.seed} "
        f"({mistakes} of them misclassified), each as PNG and mp4",
        err=True,
    )
    click.echo(str(made.pictures / "grid.png"))
    if made.table is not None:
        click.echo(str(made.table))


def _data(study: Study, chosen: FinishedTrial, results: Path) -> tuple[Data, bool]:
    """Input data of the trial, and whether they are synthetic; a missing clip store is rebuilt."""
    from agrm_study.cli.progress_bar import step_bars
    from agrm_study.execution.data.node_store import node_store
    from agrm_study.execution.data.prepare import prepare
    from agrm_study.explain.network import Data
    from agrm_study.explain.trials import study_with_recipe
    from agrm_study.training.data.manifest import read_manifest
    from agrm_study.training.data.splits import make_split
    from agrm_study.training.data.store import ClipStore

    with step_bars() as on_step:
        prepared = prepare(
            study_with_recipe(study, chosen.recipe),
            results,
            build=True,
            on_step=on_step,
            on_note=lambda text: click.echo(text, err=True),
        )
    manifest = read_manifest(prepared.manifest_path(chosen.recipe), require_files=False)
    split = make_split(manifest, chosen.recipe.data, chosen.recipe.split_seed)
    store = ClipStore.open(node_store(prepared.store_path(chosen.recipe), ""))
    synthetic = (manifest.path.parent / "synthetic.json").is_file()
    return Data(store=store, manifest=manifest, split=split), synthetic


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
