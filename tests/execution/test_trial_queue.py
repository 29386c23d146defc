"""Trials wait for the stages that a running trial will save, and for nothing else."""

from __future__ import annotations

import itertools
import random

import pytest

from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import StageEnd, Work
from agrm_study.plan.stages import Stages, plan_stages
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.recipe import Recipe


def trial(name: str, *, seed: int = 0, arm: str | None = None, **settings: object) -> TrialSpec:
    """A trial of an arm; ``tau`` and ``epochs`` are what differs."""
    ssl = {"threshold": {"tau": settings.pop("tau", 0.5)}, "ramp": {"epochs": settings.pop("ramp", 30)}}
    recipe = {"seed": seed, "ssl": ssl, "early_stop": {"armed_after": 90}, **settings}
    return TrialSpec(
        trial_id=name,
        config_id=name,
        study="study",
        phase="final",
        arm=arm or name,
        recipe=Recipe.model_validate(recipe),
        data_fingerprint="d",
        split_fingerprint="s",
        labelled_fingerprint="l",
    )


class Bench:
    """A queue, and the stages that lie on its shelf."""

    def __init__(self, *trials: TrialSpec, there: dict[str, int] | None = None, keep: bool = False) -> None:
        self.stages: Stages = plan_stages(trials, known=there or {})
        self.shelf = set(there or {})
        works = [Work(trial=trial) for trial in trials]
        self.queue = TrialQueue(works, self.stages, saved=there, exists=self.shelf.__contains__, keep=keep)

    def pop(self) -> str | None:
        work = self.queue.pop()
        return None if work is None else work.trial.trial_id

    def key(self, name: str, number: int) -> str:
        return self.stages.chain(name)[number].key

    def tell(self, name: str, kind: str = "epoch", epoch: int = 1, *, saved: str = "", **more: object) -> list[str]:
        if saved:
            self.shelf.add(saved)
        values = {"kind": kind, "trial_id": name, "epoch": epoch, "saved_stage": saved} | more
        return self.queue.observe(TrialEvent(**values))  # type: ignore[arg-type]


def taus(seeds: int = 1) -> list[TrialSpec]:
    return [
        trial(f"{arm}{seed}", seed=seed, tau=tau, arm=arm)
        for seed in range(seeds)
        for arm, tau in (("a", 0.5), ("b", 0.6), ("c", 0.7))
    ]


def test_trials_that_share_nothing_start_in_order_at_once() -> None:
    bench = Bench(*(trial(name, seed=seed) for seed, name in enumerate("abc")))
    assert [bench.pop(), bench.pop(), bench.pop(), bench.pop()] == ["a", "b", "c", None]
    assert len(bench.queue) == 0


def test_the_last_trials_start_longest_first_whatever_their_seed() -> None:
    lengths = {"a": 30, "b": 20, "c": 50, "d": 40, "e": 60, "f": 10}
    bench = Bench(*(trial(name, seed=seed, epochs=epochs) for seed, (name, epochs) in enumerate(lengths.items())))
    assert [bench.pop(), bench.pop()] == ["a", "b"]  # more than two rounds of the two slots are left until here
    assert [bench.pop() for _ in range(4)] == ["e", "c", "d", "f"]


def test_who_starts_first_leads_and_the_others_wait_until_its_state_is_there() -> None:
    bench = Bench(*taus())
    work = bench.queue.pop()
    assert work is not None
    assert work.stages == (StageEnd(bench.key("a0", 0), 10),)
    assert bench.pop() is None
    assert len(bench.queue) == 2
    bench.tell("a0", epoch=9)
    assert bench.pop() is None
    bench.tell("a0", epoch=10, saved=bench.key("a0", 0))
    assert [bench.pop(), bench.pop(), bench.pop()] == ["b0", "c0", None]


def test_the_other_seeds_lead_while_the_first_ones_followers_wait() -> None:
    bench = Bench(*taus(seeds=2))
    assert [bench.pop(), bench.pop(), bench.pop()] == ["a0", "a1", None]
    bench.tell("a1", epoch=10, saved=bench.key("a1", 0))
    assert [bench.pop(), bench.pop(), bench.pop()] == ["b1", "c1", None]


def test_with_enough_followers_at_hand_an_arm_fills_before_the_next_seed_begins() -> None:
    bench = Bench(*taus(seeds=4))
    assert [bench.pop(), bench.pop()] == ["a0", "a1"]  # two slots
    for name in ("a0", "a1"):
        bench.tell(name, epoch=10, saved=bench.key(name, 0))
    bench.tell("a0", "finished", 100)
    assert bench.pop() == "b0"
    bench.tell("a1", "finished", 100)
    assert bench.pop() == "c0"
    bench.tell("b0", "finished", 100)
    assert bench.pop() == "b1"
    bench.tell("c0", "finished", 100)
    assert bench.pop() == "a2"  # one trial could start, for two slots: time for a leader
    bench.tell("b1", "finished", 100)
    assert bench.pop() == "c1"


def test_of_those_that_could_lead_the_one_that_most_wait_for_comes_first() -> None:
    few = [trial("few", tau=0.5, seed=1), trial("few'", tau=0.6, seed=1)]
    bench = Bench(*few, *taus())
    assert [bench.pop(), bench.pop(), bench.pop()] == ["a0", "few", None]


@pytest.mark.parametrize("end", ["failed", "interrupted", "finished"])
def test_when_a_leader_ends_without_leaving_anything_the_next_one_leads(end: str) -> None:
    bench = Bench(*taus())
    assert [bench.pop(), bench.pop()] == ["a0", None]
    bench.tell("a0", end, 4, failure="worker_killed" if end == "failed" else None)
    assert [bench.pop(), bench.pop()] == ["b0", None]


def test_nobody_waits_in_a_stage_in_which_training_fails() -> None:
    bench = Bench(*taus())
    assert [bench.pop(), bench.pop()] == ["a0", None]
    bench.tell("a0", "failed", 4, failure="nan_loss")
    assert [bench.pop(), bench.pop()] == ["b0", "c0"]


def test_a_failure_beyond_the_stage_says_nothing_about_it() -> None:
    bench = Bench(*taus())
    bench.pop()
    bench.tell("a0", epoch=10, saved=bench.key("a0", 0))
    assert bench.tell("a0", "failed", 40, failure="bug") == [bench.key("a0", 1)] * 0
    assert [bench.pop(), bench.pop()] == ["b0", "c0"]


def test_a_leader_that_passes_by_without_leaving_anything_is_not_waited_for() -> None:
    bench = Bench(*taus())
    bench.pop()
    bench.tell("a0", epoch=31)  # it went on from a checkpoint of its own
    assert [bench.pop(), bench.pop()] == ["b0", None]


def test_a_leader_that_passes_by_may_have_left_its_state_before_it_died() -> None:
    bench = Bench(*taus())
    bench.pop()
    bench.tell("a0", "retried")
    bench.shelf.add(bench.key("a0", 0))
    bench.tell("a0", epoch=11)
    assert [bench.pop(), bench.pop()] == ["b0", "c0"]


def test_a_leader_whose_worker_died_still_leads() -> None:
    bench = Bench(*taus())
    bench.pop()
    bench.tell("a0", epoch=5)
    bench.tell("a0", "retried")
    assert bench.pop() is None
    bench.tell("a0", epoch=10, saved=bench.key("a0", 0))
    assert bench.pop() == "b0"


def test_a_state_that_is_lost_is_led_to_again() -> None:
    bench = Bench(*taus())
    bench.pop()
    bench.tell("a0", epoch=10, saved=bench.key("a0", 0))
    bench.shelf.clear()
    work = bench.queue.pop()
    assert work is not None
    assert (work.trial.trial_id, work.stages) == ("b0", (StageEnd(bench.key("b0", 0), 10),))
    assert bench.pop() is None


def test_what_an_earlier_run_has_left_is_taken_over_at_once() -> None:
    key = plan_stages(taus()).stages[0].key
    bench = Bench(*taus()[1:], there={key: 10})
    assert [bench.pop(), bench.pop()] == ["b0", "c0"]


def test_a_single_trial_takes_over_too() -> None:
    key = plan_stages(taus()).stages[0].key
    bench = Bench(taus()[2], there={key: 10})
    work = bench.queue.pop()
    assert work is not None
    assert work.stages == (StageEnd(key, 10),)


def test_a_shorter_trial_follows_the_longer_one() -> None:
    bench = Bench(trial("long", epochs=100), trial("short", epochs=50))
    assert [bench.pop(), bench.pop()] == ["long", None]
    bench.tell("long", epoch=50, saved=bench.key("short", 0))
    assert bench.pop() == "short"


def test_when_training_stops_in_a_stage_nobody_waits_for_what_comes_after_it() -> None:
    trials = [trial(name, epochs=epochs) for name, epochs in (("a", 100), ("b", 80), ("c", 60))]
    bench = Bench(*trials)
    assert [bench.pop(), bench.pop()] == ["a", None]
    bench.tell("a", "finished", 35, saved=bench.key("c", 0))
    assert [bench.pop(), bench.pop()] == ["b", "c"]


def test_the_nearest_of_several_stages_is_waited_for() -> None:
    """a and b share the ramp's first epochs, c only the pre-training."""
    bench = Bench(trial("a", ramp=20), trial("b", ramp=30), trial("c", tau=0.9))
    assert [(stage.first, stage.last) for stage in bench.stages.chain("b")] == [(1, 10), (11, 11), (12, 100)]
    assert [bench.pop(), bench.pop()] == ["a", None]
    bench.tell("a", epoch=10, saved=bench.key("a", 0))
    assert [bench.pop(), bench.pop()] == ["c", None]
    bench.tell("a", epoch=11, saved=bench.key("a", 1))
    assert bench.pop() == "b"


def test_a_stage_is_dropped_when_the_last_trial_of_it_has_ended_for_good() -> None:
    bench = Bench(*taus())
    bench.pop()
    key = bench.key("a0", 0)
    bench.tell("a0", epoch=10, saved=key)
    bench.pop(), bench.pop()
    assert bench.tell("a0", "finished", 100) == []
    assert bench.tell("b0", "failed", 20, failure="worker_killed") == []  # the next run needs it
    assert bench.tell("c0", "finished", 100) == []
    other = Bench(*taus())
    other.pop()
    other.tell("a0", epoch=10, saved=key)
    other.pop(), other.pop()
    ended = [other.tell("b0", "failed", 20, failure="bug"), other.tell("c0", "finished", 100)]
    assert [*ended, other.tell("a0", "finished", 100)] == [[], [], [key]]


def test_trials_of_an_arm_that_is_held_are_not_waited_for() -> None:
    bench = Bench(*taus(seeds=2))
    bench.pop()
    assert [work.trial.trial_id for work in bench.queue.remove({"b", "a"})] == ["b0", "a1", "b1"]
    assert bench.pop() == "c1"
    assert bench.pop() is None
    bench.tell("a0", epoch=10, saved=bench.key("a0", 0))
    assert bench.pop() == "c0"


def test_states_that_are_kept_are_left_without_anybody_waiting() -> None:
    bench = Bench(taus()[0], keep=True)
    work = bench.queue.pop()
    assert work is not None
    assert [end.last for end in work.stages] == [100]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_every_trial_starts_once_and_something_can_when_nothing_runs(seed: int) -> None:
    """Random endings, deaths and losses over a tree of shared stages."""
    draw = random.Random(seed)
    trials = [
        trial(f"{s}/{tau}/{ramp}/{epochs}", seed=s, tau=tau, ramp=ramp, epochs=epochs)
        for s, tau, ramp, epochs in itertools.product(range(3), (0.5, 0.6), (5, 20), (15, 40))
    ]
    bench = Bench(*trials)
    running: dict[str, int] = {}
    started: list[str] = []
    slots = draw.randint(1, 5)
    while len(bench.queue) or running:
        while len(running) < slots and (name := bench.pop()) is not None:
            started.append(name)
            running[name] = 0
            there = [stage.last for stage in bench.stages.chain(name) if stage.key in bench.shelf]
            running[name] = max(there, default=0)
        assert running, "everybody waits for somebody who does not run"
        name = draw.choice(sorted(running))
        epoch = running[name] = running[name] + draw.randint(1, 9)
        chain = bench.stages.chain(name)
        passed = [stage for stage in chain if epoch - 9 < stage.last <= epoch and draw.random() < 0.8]
        happens = draw.choices(["epoch", "failed", "retried", "lost"], [0.8, 0.08, 0.08, 0.04])[0]
        if happens == "retried":
            running[name] = 0
            bench.tell(name, "retried")
        elif happens == "lost" and bench.shelf:
            bench.shelf.discard(draw.choice(sorted(bench.shelf)))
        elif happens == "failed":
            del running[name]
            bench.tell(name, "failed", epoch, failure=draw.choice(["nan_loss", "oom_host", "bug"]))
        else:
            over = epoch >= chain[-1].last
            for stage in passed[:1]:
                bench.tell(name, "epoch", epoch, saved=stage.key)
            if over:
                del running[name]
            for key in bench.tell(name, "finished" if over else "epoch", epoch):
                bench.shelf.discard(key)
    assert sorted(started) == sorted(one.trial_id for one in trials)


def test_a_kind_of_accelerator_without_room_holds_back_no_other() -> None:
    kinds = {"a": "A100", "b": "A100", "c": "T4", "d": "T4"}
    works = [Work(trial=trial(name, tau=0.1 * place), accelerator=kinds[name]) for place, name in enumerate("abcd", 1)]
    queue = TrialQueue(works)

    def pop(*full: str) -> str | None:
        work = queue.pop(full)
        return None if work is None else work.trial.trial_id

    assert [pop("A100"), pop("T4"), pop("A100", "T4"), pop(), pop("A100"), pop()] == ["c", "a", None, "b", "d", None]


def test_whoever_has_room_leads_where_kinds_share_a_stage() -> None:
    trials = taus()
    works = [Work(trial=each, accelerator=f"kind {n}") for n, each in enumerate(trials)]
    queue = TrialQueue(works, plan_stages(trials))
    first = queue.pop(["kind 0"])
    assert first is not None
    assert first.trial.trial_id == trials[1].trial_id
    assert queue.pop() is None  # the others wait for what it leaves
