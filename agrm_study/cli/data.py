"""The `data` commands: create, index, check and build a data set."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.options import PARTS
from agrm_study.study.counted import counted
from agrm_study.training.data.datasets import LAYOUTS

if TYPE_CHECKING:
    from agrm_study.study.recipe import Recipe
    from agrm_study.training.data.check import CheckReport

WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), default=None, help="Number of processes. [default: one per core]"
)
STUDY = click.option(
    "--study", default=None, metavar="STUDY", help="Use the frame rate, crop, size and views of this study."
)
SHOWN_SUBJECTS = 20
LAYOUT_NAMES = tuple(name.replace("_", "-") for name in LAYOUTS)


@click.group()
def data() -> None:
    """Generate a synthetic data set; index, check or decode a real one."""


@data.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--subjects", type=click.IntRange(min=6), default=60, show_default=True, help="Number of labelled children."
)
@click.option(
    "--unlabelled", type=click.IntRange(min=0), default=60, show_default=True, help="Number of unlabelled clips."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "medium", "hard"]),
    default="medium",
    show_default=True,
    help="Size of the knee deformity, and strength of the nuisance factors.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    default=None,
    help="Also write a picture of sample clips to this PNG file.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=None, help="Number of processes. [default: one per core]"
)
def synth(
    out: Path, subjects: int, unlabelled: int, seed: int, difficulty: str, picture: Path | None, workers: int | None
) -> None:
    """Write a synthetic hybrid data set to OUT, as real video files with a manifest."""
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.training.data.datasets.synthetic import contact_sheet, write_synthetic

    with progress_bar("Generating videos") as on_progress:
        manifest = write_synthetic(
            out,
            subjects=subjects,
            unlabelled=unlabelled,
            seed=seed,
            difficulty=difficulty,
            workers=workers or os.cpu_count() or 1,
            on_progress=on_progress,
        )
    click.echo(str(manifest))
    if picture is not None:
        contact_sheet(manifest, picture)
        click.echo(f"image: {picture}", err=True)


@data.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--layout", metavar="NAME", required=True,
    help=f"Layout of the files: {', '.join(LAYOUT_NAMES)}, or one of --parts.",
)  # fmt: skip
@PARTS
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the manifest.")
@click.option("--append", is_flag=True, help="Add to the manifest in OUT instead of replacing it.")
@click.option("--labels", type=click.Path(path_type=Path), default=None, help="CSV file with the labels (spwvd).")
@click.option(
    "--label", "spellings", multiple=True, metavar="TEXT=LABEL",
    help="Label for a value in the data, e.g. 1=genu_varum. May be repeated.",
)  # fmt: skip
@click.option(
    "--view", "views", type=int, multiple=True, metavar="DEG",
    help="View to keep. May be repeated. [default: all]",
)  # fmt: skip
@click.option(
    "--fps",
    type=click.FloatRange(min=0, max=1000, min_open=True),
    default=None,
    help="Read folders of numbered images as videos with this frame rate. [default: skip them]",
)
@click.option("--site", metavar="NAME", default=None, help="Site of the videos for which no site is specified in PATH.")
@click.option("--json", "as_json", is_flag=True, help="Print the included, skipped and unreadable files as JSON.")
@WORKERS
def index(
    path: Path,
    layout: str,
    parts: tuple[Path, ...],
    out: Path,
    append: bool,
    labels: Path | None,
    spellings: tuple[str, ...],
    views: tuple[int, ...],
    fps: float | None,
    site: str | None,
    as_json: bool,
    workers: int | None,
) -> None:
    """Read the videos under PATH and write a manifest to a folder, as Parquet and CSV."""
    from agrm_study.api.names import own_name
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.study.errors import InputError
    from agrm_study.training.data.datasets import layout_of
    from agrm_study.training.data.datasets.append import merge
    from agrm_study.training.data.datasets.layout import Options, examine, existing
    from agrm_study.training.data.datasets.report import IndexReport
    from agrm_study.training.data.manifest import read_manifest, write_manifest

    options = Options(labels=labels, spellings=_spellings(spellings), views=views or None, fps=fps, site=_site(site))
    before = list(read_manifest(out / "manifest.parquet", require_files=False).clips) if append else []
    chosen = layout_of(own_name("layout", layout.replace("-", "_"), parts))
    if labels is not None and not chosen.takes_labels:
        raise InputError("this layout does not read labels from a separate file", field="--labels", given=str(labels))
    survey = chosen.survey(existing(path), options)
    with progress_bar("Reading videos") as on_progress:
        examined = examine(
            survey.found, fps=fps, site=options.site, workers=workers or os.cpu_count() or 1, on_progress=on_progress
        )
    merged = merge(before, examined.clips)
    written = out / "manifest.parquet"
    if not append or merged.added or merged.updated:
        write_manifest(merged.clips, out)
    report = IndexReport(written, survey, examined, merged, appended=append)
    for line in report.lines():
        click.echo(line, err=True)
    click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) if as_json else str(written))


@data.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@STUDY
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    default=None,
    help="Write images of sample clips to this folder, as stored and as the network sees them.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
@WORKERS
def check(manifest: Path, study: str | None, pictures: Path | None, as_json: bool, workers: int | None) -> int:
    """Decode every video of MANIFEST and list all problems; the exit code is 1 if a problem would stop a study."""
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.training.data.check import check_manifest
    from agrm_study.training.data.manifest import read_manifest

    read = read_manifest(manifest, require_files=False)
    recipe, processes = _recipe(study), workers or os.cpu_count() or 1
    with progress_bar("Decoding videos") as on_progress:
        report = check_manifest(read, recipe.clip, workers=processes, on_progress=on_progress)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _show(report)
    if pictures is not None:
        from agrm_study.training.data.pictures import draw_pictures

        with progress_bar("Drawing images") as on_progress:
            sheets = draw_pictures(
                read, recipe.clip, pictures, augment=recipe.augment, workers=processes, on_progress=on_progress
            )
        click.echo(f"{counted(len(sheets), 'image')} in {pictures}", err=True)
    return 1 if report.stops else 0


@data.command()
@click.argument("study", type=str)
@click.option("--results", metavar="DIR", default=None, help="As in `run`; the store is written to .data next to DIR.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As in `run`.")
@click.option("--preset", metavar="NAME", default=None, help="As in `run`.")
@WORKERS
def build(study: str, results: str | None, overrides: tuple[str, ...], preset: str | None, workers: int | None) -> None:
    """Decode the videos of STUDY once into the clip store that all trials share (`run` does this automatically)."""
    from agrm_study.api.names import read_study
    from agrm_study.cli.options import results_folder
    from agrm_study.cli.progress_bar import step_bars
    from agrm_study.execution.data.prepare import prepare

    asked = read_study(Path(study), overrides, preset)
    with step_bars() as on_step:
        prepared = prepare(
            asked,
            results_folder(asked.name, results, preset),
            build=True,
            on_step=on_step,
            on_note=lambda text: click.echo(text, err=True),
            workers=workers,
        )
    for store in sorted(set(prepared.stores.values())):
        click.echo(str(store))


def _spellings(texts: tuple[str, ...]) -> dict[str, str]:
    from agrm_study.study.errors import InputError
    from agrm_study.study.labels import label_problem

    spellings = {}
    for text in texts:
        spelling, equals, label = text.partition("=")
        if not equals or label_problem(label):
            raise InputError("must be TEXT=LABEL", field="--label", given=text, allowed="e.g. 1=genu_varum")
        spellings[spelling] = label
    return spellings


def _site(name: str | None) -> str | None:
    from agrm_study.study.errors import InputError
    from agrm_study.study.labels import label_problem, plain_label

    if name is not None and (problem := label_problem(name)):
        raise InputError(problem, field="--site", given=name)
    return None if name is None else plain_label(name)


def _recipe(study: str | None) -> Recipe:
    """The recipe of a study, or the default recipe of the protocol."""
    from agrm_study.study.recipe import Recipe

    if study is None:
        return Recipe()
    from agrm_study.api.names import read_study

    return read_study(Path(study), (), None).base


def _show(report: CheckReport) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from agrm_study.training.data.check import KINDS
    from agrm_study.training.data.names import yaml_list

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # one row per line, for grep
    if report.findings:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("", "finding", "clip", "subject", "details"):
            table.add_column(title)
        for finding in report.findings:
            mark = "[red]stops[/]" if finding.severity == "stops" else "[dim]note[/]"
            table.add_row(
                mark, finding.kind, escape(finding.clip_id), escape(finding.subject_id), escape(finding.message)
            )
        console.print(table)
        console.print()
        for kind, count in report.counts().items():
            console.print(f"{count} × {kind}: {KINDS[kind][1]}", soft_wrap=True)
    if not report.stops:
        console.print(f"{counted(report.clips, 'video')} checked: no problem would stop a study", soft_wrap=True)
        return
    subjects = report.subjects_that_stop
    console.print(
        f"{counted(report.clips, 'video')} checked: videos of {counted(len(subjects), 'subject')} would stop a study",
        soft_wrap=True,
    )
    out = f"data.exclude: {yaml_list(subjects, SHOWN_SUBJECTS)}"
    console.print(escape(f"Repair the files and index them again, or exclude the subjects with {out}"), soft_wrap=True)
