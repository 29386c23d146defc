"""The progress display is correct, readable and without flicker."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress import lines as lines_module
from agrm_study.execution.progress.lines import LinesView, choose_view
from agrm_study.execution.progress.live import LiveView
from agrm_study.execution.progress.state import Counts, StudyProgress
from agrm_study.execution.progress.wording import duration, rough
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.expand import expand
from agrm_study.plan.plan import Plan
from agrm_study.records.reader import TrialState
from agrm_study.study.study import Study

Make = Callable[..., Study]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plan(make_study: Make) -> tuple[Study, Plan]:
    study = make_study({"A": 0.5, "B": 0.6}, seeds=3)
    return study, expand(study, lambda recipe: ("data", "split"))


def event(kind: str, plan: Plan, number: int, **values: object) -> TrialEvent:
    return TrialEvent(kind=kind, trial_id=plan.trials[number].trial_id, **values)  # type: ignore[arg-type]


def test_counts_follow_the_events(plan: tuple[Study, Plan], clock: Clock) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    progress.apply(event("started", trials, 0))
    progress.apply(event("started", trials, 1))
    progress.apply(event("finished", trials, 0, epoch=3, wall_s=8.0, metric=0.7))
    progress.apply(event("failed", trials, 1, failure="bug", error="E"))
    progress.apply(event("started", trials, 2))
    progress.apply(event("retried", trials, 2))
    progress.apply(event("held", trials, 3))
    assert progress.counts() == Counts(total=6, finished=1, running=0, failed=1, held=1, waiting=3)


def test_what_the_ledger_knows_is_there_from_the_start(plan: tuple[Study, Plan], clock: Clock) -> None:
    study, trials = plan
    states = {
        trials.trials[0].trial_id: TrialState("finished", None, None, 1, 12.0),
        trials.trials[1].trial_id: TrialState("failed", "bug", "KeyError: 'x'\nat fit.py:3", 1, 1.0),
    }
    progress = StudyProgress.of(study, trials.cells, states, metrics={trials.trials[0].trial_id: 0.75}, clock=clock)
    assert progress.trials[trials.trials[0].trial_id].metric == 0.75
    assert progress.trials[trials.trials[1].trial_id].reason == "KeyError: 'x'"
    assert progress.counts().failed == 1
    progress.reopen([trials.trials[1].trial_id])
    assert progress.counts().failed == 0


def test_time_left_is_what_the_measured_trials_say(plan: tuple[Study, Plan], clock: Clock) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    progress.slots = 2
    assert progress.time_left_s() is None
    arms = [trial.arm for trial in trials.trials]
    first_a, first_b = arms.index("A"), arms.index("B")
    progress.apply(event("finished", trials, first_a, epoch=10, wall_s=10.0))
    progress.apply(event("finished", trials, first_b, epoch=10, wall_s=30.0))
    # two more of A (10 s each) and of B (30 s each) on two slots
    assert progress.time_left_s() == pytest.approx((2 * 10 + 2 * 30) / 2)
    running = next(i for i, arm in enumerate(arms) if arm == "B" and i != first_b)
    progress.apply(event("started", trials, running))
    progress.apply(event("epoch", trials, running, epoch=1, wall_s=3.0, epoch_s=3.0))
    clock.now += 2.0
    assert progress.time_left_s() == pytest.approx((2 * 10 + 30 + (30 - 5)) / 2)


def test_time_left_before_any_trial_has_ended_is_guessed_from_its_epochs(
    plan: tuple[Study, Plan], clock: Clock
) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    progress.apply(event("started", trials, 0))
    progress.apply(event("epoch", trials, 0, epoch=10, epochs=100, wall_s=20.0, epoch_s=2.0))
    assert progress.time_left_s() == pytest.approx(5 * 200 + 180)


def test_time_left_counts_only_what_trials_that_take_epochs_over_train_themselves(
    plan: tuple[Study, Plan], clock: Clock
) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    arms = [trial.arm for trial in trials.trials]
    first_a, first_b = arms.index("A"), arms.index("B")
    progress.apply(event("finished", trials, first_a, epoch=10, wall_s=10.0))
    progress.apply(event("finished", trials, first_b, epoch=10, wall_s=30.0, inherited=6))
    assert progress.time_left_s() == pytest.approx(2 * 10 + 2 * 12)
    follower = next(i for i, arm in enumerate(arms) if arm == "B" and i != first_b)
    progress.apply(event("started", trials, follower))
    progress.apply(event("epoch", trials, follower, epoch=7, wall_s=21.0, epoch_s=3.0, inherited=6))
    assert progress.time_left_s() == pytest.approx(2 * 10 + 12 + 9)  # the time of what it took over is not to come


def test_lines_tell_each_end_and_nothing_of_the_epochs(plan: tuple[Study, Plan], clock: Clock) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    stream = io.StringIO()
    view = LinesView(stream)
    for done in range(5):
        view.step(Step("Decoding videos", done, 4))
    view.begin(progress)
    for one in (
        event("started", trials, 0),
        event("epoch", trials, 0, epoch=1, wall_s=1.0),
        event("finished", trials, 0, epoch=2, wall_s=2.0, metric=0.7125),
        event("failed", trials, 1, failure="nan_loss", error="not finite"),
    ):
        view.event(one, progress.apply(one))
    view.message("careful")
    lines = [line.split("  ", 1)[1] for line in stream.getvalue().splitlines()]
    first, second = trials.trials[:2]
    assert lines == [
        "Decoding videos: 0 of 4",
        "Decoding videos: 4 of 4",
        "study: 6 trials, 0 already finished, 6 to run",
        f"finished 1/6  {first.arm} · seed 0: validation macro_f1 0.713, 2 epochs in 2 s",
        f"failed   2/6  {second.arm} · seed 0: nan_loss: the loss became infinite or not a number (not finite)",
        "careful",
    ]


def test_lines_report_once_a_minute(plan: tuple[Study, Plan], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    now = 0.0
    monkeypatch.setattr(lines_module.time, "monotonic", lambda: now)
    stream = io.StringIO()
    view = LinesView(stream)
    view.begin(progress)
    progress.apply(event("started", trials, 0))
    for second in range(0, 150, 5):
        now = float(second)
        view.refresh()
    assert stream.getvalue().count("0 of 6 finished, 1 running") == 2


def picture(view: LiveView, width: int = 100) -> str:
    console = Console(width=width, height=40, file=io.StringIO(), force_terminal=False, record=True)
    console.print(view.picture())
    return console.export_text()


def live(width: int = 100, height: int = 40) -> LiveView:
    return LiveView(Console(width=width, height=height, file=io.StringIO(), force_terminal=True))


def test_the_picture_shows_cells_means_and_what_runs(plan: tuple[Study, Plan], clock: Clock) -> None:
    study, trials = plan
    progress = StudyProgress.of(study, trials.cells, {}, clock=clock)
    view = live()
    view.begin(progress)
    ids = {(trial.arm, trial.seed): number for number, trial in enumerate(trials.trials)}
    for one in (
        event("finished", trials, ids["A", 0], epoch=3, wall_s=60.0, metric=0.5),
        event("finished", trials, ids["A", 1], epoch=3, wall_s=60.0, metric=0.7),
        event("started", trials, ids["A", 2]),
        event("epoch", trials, ids["A", 2], epoch=25, epochs=100, metric=0.444, epoch_s=1.5, wall_s=37.0),
        event("failed", trials, ids["B", 0], failure="bug", error="KeyError: 'x'"),
    ):
        view.event(one, progress.apply(one))
    lines = picture(view).splitlines()
    row = next(line for line in lines if line.strip().startswith("A "))
    assert [word for word in row.split() if "━" not in word and "╺" not in word and "╸" not in word] == [
        "A", "0.500", "0.700", "25", "%", "0.600", "2/3",
    ]  # fmt: skip
    assert any(line.split()[:4] == ["B", "failed", "·", "·"] for line in lines)
    assert any("▸ A · seed 2" in line and "epoch 25/100" in line and "1.5 s per epoch" in line for line in lines)
    assert any("2 of 6 trials" in line and "1 running" in line and "1 failed" in line for line in lines)
    assert any("KeyError: 'x'" in line for line in lines)


def test_the_picture_shows_the_preparation_from_the_first_moment() -> None:
    view = live()
    view.step(Step("Generating synthetic videos", 60, 60))
    view.step(Step("Decoding videos", 14, 56))
    text = picture(view)
    assert "✓ Generating synthetic videos" in text
    assert "▸ Decoding videos" in text
    assert "14 of 56" in text


def test_a_wide_study_becomes_bars_and_fits_the_terminal(make_study: Make, clock: Clock) -> None:
    study = make_study({f"arm {number}": number / 100 for number in range(40)}, seeds=30)
    progress = StudyProgress.of(study, expand(study, lambda recipe: ("d", "s")).cells, {}, clock=clock)
    view = live(width=80, height=24)
    view.begin(progress)
    lines = picture(view, width=80).rstrip().splitlines()
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    assert any("more arms" in line for line in lines)


def test_the_view_draws_on_a_terminal_and_writes_lines_elsewhere(tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(choose_view(Terminal()), LiveView)
    assert isinstance(choose_view(io.StringIO()), LinesView)


@pytest.mark.parametrize(
    ("seconds", "text", "about"),
    [
        (0.43, "0.4 s", "less than a minute"),
        (8, "8 s", "less than a minute"),
        (200, "3 min 20 s", "about 3 min"),
        (7500, "2 h 05 min", "about 2 h 00 min"),
        (273600, "3 d 4 h", "about 3.2 days"),
    ],
)
def test_times_are_told_in_words(seconds: float, text: str, about: str) -> None:
    assert duration(seconds) == text
    assert rough(seconds) == about


@pytest.mark.parametrize("width", [80, 120])
def test_running_trials_fit_the_terminal_with_their_seed_epoch_and_pace(
    make_study: Make, width: int, clock: Clock
) -> None:
    study = make_study({"an arm with both modules and adaptive thresholds": 0.5, "B": 0.6}, seeds=3)
    plan = expand(study, lambda recipe: ("data", "split"))
    progress = StudyProgress.of(study, plan.cells, {}, clock=clock)
    for number in range(len(plan.trials)):
        progress.apply(event("started", plan, number))
        progress.apply(event("epoch", plan, number, epoch=17, epochs=100, wall_s=9.0, epoch_s=203.0, metric=0.712))
    file = io.StringIO()
    view = LiveView(Console(file=file, width=width, height=60, force_terminal=True, color_system=None))
    view.begin(progress)
    Console(file=file, width=width, color_system=None).print(view.picture())
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    running = [line for line in lines if "▸" in line]
    assert len(running) == len(plan.trials)
    assert all(f"seed {seed}" in " ".join(running) for seed in range(3))
    assert all("epoch 17/100" in line and "0.712" in line and "3 min 23 s per epoch" in line for line in running)
