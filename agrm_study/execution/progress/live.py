"""Live view of a run on a terminal: results so far, running trials, counts and the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final

import rich.text
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.rich_parts import Text, search_table
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.progress.wording import duration, failure_words, hours_words, rough, trial_name
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.study.tasks import task_words

FRAMES_PER_S: Final = 4
PAUSE_BY_COST: Final = 20.0
"""Minimum display time of a frame as a multiple of its rendering time, which is 0.5 s for ten thousand arms."""
MOST_SEEDS: Final = 10
"""Maximum number of replicates shown individually; with more, or on a narrow terminal, an arm is shown as a bar."""
MOST_RUNNING: Final = 8
NARROW: Final = 110
"""Terminals narrower than this show running trials without the progress bar and the metric name."""
MOST_MESSAGES: Final = 4

DIM, DONE, RUN, BAD = "bright_black", "default", "cyan", "red"


class LiveView(View):
    """A live view, redrawn in place on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._lock = threading.RLock()
        self._steps: dict[str, tuple[Step, float, float]] = {}
        self._progress: StudyProgress | None = None
        self._messages: list[str] = []
        self._began: float | None = time.monotonic()
        self._ended = False
        self._frame: RenderableType | None = None
        self._next_frame = 0.0
        self._live = Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=FRAMES_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveView:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._ended = True
        self._live.stop()

    def step(self, step: Step) -> None:
        now = time.monotonic()
        with self._lock:
            began = self._steps[step.title][1] if step.title in self._steps else now
            self._steps[step.title] = (step, began, now)

    def begin(self, progress: StudyProgress) -> None:
        with self._lock:
            self._steps.clear()
            self._progress = progress

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        with self._lock:
            self._steps.clear()
        if event.kind in ("failed", "retried") and self._progress is not None:
            verb = "failed" if event.kind == "failed" else "is being retried"
            reason = failure_words(event.failure, event.error)
            self.message(f"{trial_name(trial, self._progress)} {verb}: {reason}")

    def message(self, text: str) -> None:
        with self._lock:
            self._messages.append(text)

    def _drawn(self) -> RenderableType:
        """The current frame, or the previous frame if rendering is slow."""
        with self._lock:
            began = time.monotonic()
            if self._frame is None or self._ended or began >= self._next_frame:
                self._frame = self.picture()
                now = time.monotonic()
                self._next_frame = now + PAUSE_BY_COST * (now - began)
            return self._frame

    def picture(self) -> RenderableType:
        """The current frame."""
        with self._lock:
            parts: list[RenderableType] = []
            progress = self._progress
            if progress is not None:
                parts += [Text(), self._title(progress), Text()]
                parts.extend(self._tables(progress))
            if self._steps:
                parts += [Text(), *self._step_lines()]
            if progress is not None:
                running = progress.running()
                if running:
                    parts += [Text(), self._running(progress, running)]
                parts += [Text(), self._footer(progress)]
            parts.extend(self._message_lines())
            return Padding(Group(*parts), (0, 1))

    def _step_lines(self) -> Iterable[RenderableType]:
        """One line per preparation step; the last step is in progress."""
        width = 10 if self._console.width < NARROW else 30
        for title, (step, began, updated) in self._steps.items():
            ended = 0 < step.total <= step.done or title != next(reversed(self._steps))
            seconds = (updated if ended else time.monotonic()) - began
            line = Table.grid(padding=(0, 2))
            line.add_column(width=34)
            line.add_column(width=width)
            line.add_column()
            bar: RenderableType = Text()
            counted = duration(int(seconds))
            if step.total > 1:
                bar = _bar(step.total, step.done, width, finished=DIM)
                counted = f"{step.done} of {step.total}  {counted}"
                if not ended and step.done > 0 and seconds > 3:
                    counted += f"  {rough(seconds / step.done * (step.total - step.done))} left"
            line.add_row(
                Text(("✓ " if ended else "▸ ") + title, style=DIM if ended else RUN), bar, Text(counted, style=DIM)
            )
            yield line

    def _title(self, progress: StudyProgress) -> RenderableType:
        return Text.assemble((progress.name, "bold"), ("   " + progress.question if progress.question else "", DIM))

    def _tables(self, progress: StudyProgress) -> Iterable[RenderableType]:
        if progress.to_draw is not None:
            yield search_table(progress, self._console.width)
        for task in progress.tasks:
            arms = [arm for arm in progress.arms if any((task, arm, seed) in progress.cells for seed in progress.seeds)]
            if arms:
                yield self._grid(progress, task, arms)

    def _grid(self, progress: StudyProgress, task: str, arms: list[str]) -> RenderableType:
        """One row per arm: one cell per seed, the mean, and a progress bar of the completed epochs."""
        width = self._console.width
        longest = min(40, max(cell_len(arm) for arm in arms))
        one_by_one = len(progress.seeds) <= MOST_SEEDS and longest + 7 * len(progress.seeds) + 24 < width
        table = Table.grid(padding=(0, 1))
        table.add_column(width=max(longest, 12), no_wrap=True, overflow="ellipsis")
        head: list[RenderableType] = [Text(task_words(task), style=DIM)]
        seeds = [(f"s{seed}", 6) for seed in progress.seeds] if one_by_one else []
        for title, column_width in (*seeds, ("mean", 8), ("", 12), ("", 8)):
            table.add_column(width=column_width, justify="right", no_wrap=True)
            head.append(Text(title, style=DIM))
        table.add_row(*head)
        shown, hidden = self._fitting(progress, task, arms)
        for arm in shown:
            trials = self._row(progress, task, arm)
            row: list[RenderableType] = [Text(arm, overflow="ellipsis", no_wrap=True)]
            if one_by_one:
                row.extend(_cell(progress, task, arm, seed) for seed in progress.seeds)
            row.extend(_summary(trials))
            table.add_row(*row)
        rest: list[RenderableType] = []
        if hidden:
            done = sum(all(t.state == "finished" for t in self._row(progress, task, arm)) for arm in hidden)
            rest.append(Text(f"… and {len(hidden)} more arms, {done} of them done", style=DIM))
        return Padding(Group(table, *rest), (0, 0, 1 if task != progress.tasks[-1] else 0, 0))

    def _row(self, progress: StudyProgress, task: str, arm: str) -> list[TrialProgress]:
        ids = (progress.cells.get((task, arm, seed)) for seed in progress.seeds)
        return [progress.trials[trial_id] for trial_id in ids if trial_id is not None]

    def _fitting(self, progress: StudyProgress, task: str, arms: list[str]) -> tuple[list[str], list[str]]:
        """The arms shown and the arms hidden if not all fit on the terminal; arms in progress have priority."""
        others = 12 + min(MOST_RUNNING, len(progress.running())) + len(self._messages[-MOST_MESSAGES:])
        room = max(3, (self._console.height - others) // max(1, len(progress.tasks)) - 3)
        if len(arms) <= room or self._ended:
            return arms, []
        rank = {"running": 0, "failed": 1, "held": 1, "finished": 2, "waiting": 3}
        urgency = {arm: min(rank[t.state] for t in self._row(progress, task, arm)) for arm in arms}
        chosen = set(sorted(arms, key=lambda arm: urgency[arm])[: room - 1])
        return [arm for arm in arms if arm in chosen], [arm for arm in arms if arm not in chosen]

    def _running(self, progress: StudyProgress, running: list[TrialProgress]) -> RenderableType:
        narrow = self._console.width < NARROW
        waiting = Table.grid(padding=(0, 2))
        rows = []
        for trial in running[:MOST_RUNNING]:
            name = "▸ " + trial_name(trial, progress)
            if trial.note:
                waiting.add_row(Text(name, style=RUN), Text(trial.note, style=DIM))
                continue
            epoch = f"epoch {trial.epoch}/{trial.epochs}" if trial.epoch else "starting"
            metric = "" if trial.metric is None else f"{trial.metric:.3f}"
            pace = f"{duration(trial.epoch_s)} per epoch" if trial.epoch_s else ""
            named = metric if narrow or not metric else f"{progress.metric} {metric}"
            rows.append((name, trial, (epoch, named, pace)))
        widths = [max(map(len, column)) for column in zip(*(texts for _, _, texts in rows), strict=True)]
        bar = 0 if narrow else 16
        room = self._console.width - 4 - sum(width + 2 for width in (*widths, *([bar] * bool(bar))))
        most = max(12, min(46, room))
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=most)
        if bar:
            table.add_column(width=bar)
        for width, style in zip(widths, (DIM, None, DIM), strict=False):
            table.add_column(justify="right", no_wrap=True, width=width, style=style)
        for name, trial, texts in rows:
            drawn = [_bar(trial.epochs, trial.epoch, bar, finished=RUN)] if bar else []
            table.add_row(
                Text(_shortened(name, 2 + len(trial.arm), most), style=RUN), *drawn, *(Text(text) for text in texts)
            )
        if len(running) > MOST_RUNNING:
            waiting.add_row(Text(f"  … and {len(running) - MOST_RUNNING} more", style=DIM))
        return Group(*(part for part in (table, waiting) if part.row_count))

    def _footer(self, progress: StudyProgress) -> RenderableType:
        counts = progress.counts()
        words: list[rich.text.Text] = [Text(f"{counts.finished} of {counts.total} trials", style="bold")]
        for number, state, style in (
            (counts.running, "running", RUN),
            (counts.failed, "failed", BAD),
            (counts.held, "held back", "yellow"),
            (progress.inherited, "epochs shared", DIM),
        ):
            if number:
                words.append(Text(f"{number} {state}", style=style))
        if self._began is not None:
            words.append(Text(duration(int(time.monotonic() - self._began)), style=DIM))
        left = progress.time_left_s()
        if counts.waiting + counts.running and left is not None:
            words.append(Text(f"{rough(left)} left", style=DIM))
        if progress.used is not None:
            words.append(Text(f"{hours_words(progress.used)} used", style=DIM))
        done = counts.finished + counts.failed
        bar = ProgressBar(counts.total, done, width=30, complete_style="green", finished_style="green")
        line = Table.grid(padding=(0, 2))
        line.add_column(width=30)
        line.add_column()
        line.add_row(bar, Group(*_filled(words, self._console.width - 34)))
        what = "cells" if progress.to_draw is None else "best so far"
        note = Text(f"{what}: {progress.metric} on validation data, at the best epoch", style=DIM)
        return Group(line, note)

    def _message_lines(self) -> Iterable[RenderableType]:
        shown = self._messages if self._ended else self._messages[-MOST_MESSAGES:]
        if shown:
            yield Text()
        for message in shown:
            yield Text(message, style="yellow", overflow="fold" if self._ended else "ellipsis", no_wrap=not self._ended)


def _cell(progress: StudyProgress, task: str, arm: str, seed: int) -> Text:
    trial_id = progress.cells.get((task, arm, seed))
    if trial_id is None:
        return Text("")
    trial = progress.trials[trial_id]
    if trial.state == "finished":
        return Text("✓" if trial.metric is None else f"{trial.metric:.3f}", style=DONE)
    if trial.state == "running":
        return Text(f"{100 * trial.epoch // max(1, trial.epochs)} %", style=RUN)
    if trial.state == "failed":
        return Text("failed", style=BAD)
    if trial.state == "held":
        return Text("held", style="yellow")
    if trial.epoch:  # stopped; resumes from its checkpoint
        return Text(f"{100 * trial.epoch // max(1, trial.epochs)} %", style=DIM)
    return Text("·", style=DIM)


def _summary(trials: list[TrialProgress]) -> list[RenderableType]:
    """Mean metric, progress bar and trial count of an arm."""
    metrics = [t.metric for t in trials if t.state == "finished" and t.metric is not None]
    done = sum(t.state == "finished" for t in trials)
    epochs = sum(t.epochs if t.state == "finished" else t.epoch if t.state == "running" else 0 for t in trials)
    complete = done == len(trials)
    return [
        Text(f"{sum(metrics) / len(metrics):.3f}" if metrics else "", style="bold" if complete else DIM),
        _bar(sum(t.epochs for t in trials), epochs, 12),
        Text(f"{done}/{len(trials)}", style=DONE if complete else DIM),
    ]


def _shortened(name: str, arm: int, width: int) -> str:
    """The name of a trial, with the arm (the first `arm` characters) shortened so that the name fits a width."""
    kept = width - (len(name) - arm) - 1
    return name if len(name) <= width or kept < 4 else f"{name[:kept]}…{name[arm:]}"


def _filled(parts: Iterable[rich.text.Text], width: int) -> list[rich.text.Text]:
    """Joins parts into lines that fit a width; no part is split."""
    lines: list[rich.text.Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 3 + part.cell_len <= width:
            lines[-1].append("   ").append_text(part)
        else:
            lines.append(part.copy())
    return lines


def _bar(total: int, done: int, width: int, *, finished: str = "green") -> ProgressBar:
    return ProgressBar(max(1, total), done, width=width, complete_style=RUN, finished_style=finished)
