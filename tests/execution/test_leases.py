"""A claim has one holder, and a run that renews its lease never loses it, whatever the clocks of the runs show."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agrm_study.execution.results_folder.leases import Leases, Member, living
from agrm_study.execution.trial.fence import FencedError, check_fence
from agrm_study.records.exclusive import has_ended
from agrm_study.records.location import Location

EXPIRES_S = 60.0


@dataclass
class World:
    """True time, and runs whose clocks are off and drift."""

    results: Location
    now: float = 0.0
    runs: list[Leases] = field(default_factory=list)

    def join(self, offset: float = 0.0, rate: float = 1.0) -> Leases:
        member = Member(study="study", host="h", pid=len(self.runs) + 1, since=float(len(self.runs)))
        leases = Leases(self.results, member, clock=lambda: offset + rate * self.now, expires_s=EXPIRES_S)
        leases.join()
        self.runs.append(leases)
        return leases

    def wait(self, seconds: float, *renewing: Leases, step: float = 10.0) -> None:
        """Time passes; only the given runs renew themselves, every `step` seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            for run in renewing:
                run.renew()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Location.of(tmp_path))


def test_a_claim_is_held_by_the_first_run_that_asks(world: World) -> None:
    first, second = world.join(), world.join()
    assert first.claim("trial") == first.run
    assert second.claim("trial") == first.run
    assert first.claim("trial") == first.run


def test_a_run_that_leaves_frees_its_claims_at_once(world: World) -> None:
    first, second = world.join(), world.join()
    first.claim("trial")
    assert second.claim("trial") == first.run
    first.leave()
    world.now += 1.0
    assert second.claim("trial") == second.run
    assert not second.is_first("trial")


def test_a_claim_that_is_given_back_is_free_while_its_run_lives(world: World) -> None:
    first, second = world.join(), world.join()
    first.claim("search")
    assert second.claim("search") == first.run
    first.release("search")
    assert second.claim("search") == second.run
    assert first.claim("search") == second.run


def test_a_run_that_died_loses_its_claims_after_the_lease_and_not_before(world: World) -> None:
    dead, other = world.join(), world.join()
    dead.claim("trial")
    assert other.claim("trial") == dead.run
    world.wait(EXPIRES_S - 5, other)
    assert other.claim("trial") == dead.run
    world.wait(10, other)
    assert other.claim("trial") == other.run


@pytest.mark.parametrize("offset", [-1e9, -3600.0, 0.0, 3600.0, 1e9])
def test_clocks_that_differ_do_not_matter(world: World, offset: float) -> None:
    holder, other = world.join(offset=offset), world.join()
    holder.claim("trial")
    for _ in range(20):
        world.wait(30, holder, other)
        assert other.claim("trial") == holder.run


def test_a_holder_that_sleeps_past_its_lease_writes_nothing_when_it_wakes(world: World) -> None:
    sleeper, other = world.join(), world.join()
    sleeper.claim("trial")
    assert other.claim("trial") == sleeper.run
    check_fence(world.results, 0, sleeper.run)
    world.wait(2 * EXPIRES_S, other)
    assert other.claim("trial") == other.run
    with pytest.raises(FencedError, match="declared dead"):
        check_fence(world.results, 0, sleeper.run)
    sleeper.renew()
    assert sleeper.lost
    assert sleeper.claim("new") != sleeper.run
    lost = sleeper.run
    sleeper.join()
    assert sleeper.run != lost
    assert sleeper.claim("new") == sleeper.run
    assert sleeper.claim("trial") == other.run


def test_of_two_takers_one_gets_the_claim(world: World) -> None:
    dead, one, two = world.join(), world.join(), world.join()
    dead.claim("trial")
    one.claim("trial"), two.claim("trial")
    world.wait(2 * EXPIRES_S, one, two)
    assert [one.claim("trial"), two.claim("trial")] == [one.run, one.run]


def test_an_observer_that_slept_itself_declares_nobody_dead(world: World) -> None:
    """After an outage of the storage, or of its own machine, it watches for the whole time again."""
    holder, other = world.join(), world.join()
    holder.claim("trial")
    assert other.claim("trial") == holder.run
    world.now += 10 * EXPIRES_S  # neither run could write
    assert other.claim("trial") == holder.run
    other.renew()
    assert other.claim("trial") == holder.run
    world.wait(EXPIRES_S / 2, holder, other)
    assert other.claim("trial") == holder.run


def test_a_claim_whose_file_is_damaged_is_free_after_the_same_time(world: World) -> None:
    holder, other = world.join(), world.join()
    holder.claim("trial")
    (world.results / "leases" / "claims" / "trial.1").write_atomic(b"\xff")
    assert other.claim("trial") not in (holder.run, other.run)
    world.wait(EXPIRES_S + 10, holder, other)
    other.is_free("trial")
    assert other.claim("trial") == other.run


def test_a_copied_folder_has_no_living_runs(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    import shutil

    holder = world.join()
    holder.claim("trial")
    copy = tmp_path_factory.mktemp("copy") / "results"
    shutil.copytree(world.results.path, copy)
    elsewhere = World(Location.of(copy))
    other = elsewhere.join()
    assert other.claim("trial") == holder.run
    elsewhere.wait(EXPIRES_S + 10, other)
    assert other.claim("trial") == other.run
    assert holder.claim("trial") == holder.run, "the original is not affected"
    assert not has_ended(world.results, holder.run)


def test_living_runs_are_listed_oldest_first(world: World) -> None:
    first, second = world.join(), world.join()
    assert [member.pid for member in living(world.results)] == [1, 2]
    first.leave()
    assert [member.pid for member in living(world.results)] == [2]
    assert second.others() == []


@settings(max_examples=60, deadline=None)
@given(
    clocks=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.95, 1.05)), min_size=3, max_size=3),
    actions=st.lists(
        st.tuples(st.sampled_from(["claim", "sleep", "wake", "leave", "wait"]), st.integers(0, 2), st.integers(0, 2)),
        max_size=40,
    ),
)
def test_there_is_never_more_than_one_holder_who_may_write(
    clocks: list[tuple[float, float]], actions: list[tuple[str, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Location.of(folder))
        runs = [world.join(offset, rate) for offset, rate in clocks]
        asleep, left = set[int](), set[int]()
        held: dict[str, set[str]] = {}
        for what, number, name in actions:
            run = runs[number]
            if what == "claim" and number not in asleep | left and run.claim(str(name)) == run.run:
                held.setdefault(str(name), set()).add(run.run)
            elif what == "sleep":
                asleep.add(number)
            elif what == "wake":
                asleep.discard(number)
            elif what == "leave" and number not in asleep | left:
                run.leave()
                left.add(number)
            elif what == "wait":
                world.wait(35.0, *(runs[i] for i in range(3) if i not in asleep | left))
            for holders in held.values():
                assert sum(not has_ended(world.results, holder) for holder in holders) <= 1
            for i, each in enumerate(runs):
                slept = i in asleep or ("sleep", i) in {(w, n) for w, n, _ in actions}
                assert slept or i in left or not has_ended(world.results, each.run), "who renews itself lives"
