"""`clean` removes exactly the files that neither tables nor resumed runs need."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scripted_runner import journal
from test_run_inline import Watcher

from agrm_study.cli.app import app
from agrm_study.execution.clean import Unneeded, remove, unneeded
from agrm_study.execution.dispatch.equal_trials import find_equal
from agrm_study.execution.results_folder import leases
from agrm_study.execution.results_folder.leases import Leases, Member
from agrm_study.execution.results_folder.lock import joined, results_lock
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.fence import FencedError, check_fence
from agrm_study.plan.expand import expand
from agrm_study.records.disk_use import disk_use
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import broken_trials, check_results
from agrm_study.study.errors import InputError
from agrm_study.study.seeds import Stopped
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
WEIGHTS = "best.safetensors"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leftovers of other processes of this machine are not listed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("machine")))


def clean(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["clean", *map(str, words)], catch_exceptions=False)


def kinds(items: list[Unneeded]) -> list[tuple[str, int]]:
    return sorted((item.kind, item.bytes) for item in items)


def files(results: Path) -> dict[str, int]:
    return {
        str(file.relative_to(results)): file.stat().st_size
        for file in results.rglob("*")
        if file.is_file() and ".run" not in file.parts
    }


def ids(results: Path, arm: str) -> set[str]:
    trials = Ledger(results).trials()
    return set(trials.loc[trials["arm"] == arm, "trial_id"])


def with_weights(results: Path) -> set[str]:
    return {file.parent.name for file in results.glob(f"checkpoints/*/{WEIGHTS}")}


def test_a_finished_study_has_nothing_to_remove(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    before = files(results)
    done = clean(results, "--yes")
    assert (done.exit_code, done.output) == (0, f"{results}: nothing to remove\n")
    assert files(results) == before


def test_a_run_that_keeps_reported_weights_removes_those_of_trials_that_left_the_plan(
    make_study: Make, run: Run, results: Path
) -> None:
    run(make_study({"A": 0.5, "B": 0.6}, keep_weights="reported"))
    assert len(with_weights(results)) == 4
    assert run(make_study({"A": 0.5, "C": 0.7}, keep_weights="reported")).exit_code == 0
    assert with_weights(results) == ids(results, "A") | ids(results, "C")
    assert not broken_trials(Location.of(results))
    before = journal(results)
    assert run(make_study({"A": 0.5, "B": 0.6, "C": 0.7}, keep_weights="reported")).finished == 0
    assert journal(results) == before


def test_no_weights_are_kept_where_none_are_wanted(make_study: Make, run: Run, results: Path) -> None:
    run(make_study(keep_weights="none"))
    assert not with_weights(results)
    assert not broken_trials(Location.of(results))
    assert run(make_study(keep_weights="all")).finished == 0  # never part of the identity


def test_a_listing_without_a_terminal_removes_nothing(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    (results / "checkpoints" / next(iter(ids(results, "A"))) / "rolling.pt").write_bytes(bytes(5_000_000))
    before = files(results)
    for words in ([], ["--dry-run"]):
        done = clean(results, *words)
        assert "checkpoints that no run resumes: 1, 5.0 MB" in done.output
        assert files(results) == before
    assert "--yes" in clean(results).output


def test_leftovers_of_every_kind_are_listed_with_their_bytes_and_removed(
    make_study: Make, run: Run, results: Path
) -> None:
    run(make_study())
    before = files(results)
    trial = results / "checkpoints" / next(iter(ids(results, "A")))
    (trial / "rolling.pt").write_bytes(bytes(1_000))
    (results / ".plan.json.0123abcd.tmp").write_bytes(bytes(200))
    stage = results / "stages" / "some-stage"
    stage.mkdir(parents=True)
    (stage / "rolling.pt").write_bytes(bytes(30))
    assert kinds(unneeded(results)) == [("checkpoints", 1_000), ("stages", 30), ("temporary", 200)]
    done = json.loads(clean(results, "--yes", "--json").stdout)
    assert (done["removed"], done["freed"]) == (True, 1_230)
    assert files(results) == before
    assert unneeded(results) == []


def test_an_unfinished_trial_keeps_its_checkpoint_and_resumes(make_study: Make, run: Run, results: Path) -> None:
    stop = Watcher(lambda e: os.kill(os.getpid(), signal.SIGINT) if e.kind == "epoch" else None)
    run(make_study(seeds=1), view=stop)
    assert list(results.glob("checkpoints/*/rolling.pt"))
    assert unneeded(results, weights="all") == []
    assert run(make_study(seeds=1)).exit_code == 0


def test_the_checkpoint_of_a_trial_that_left_the_plan_is_not_needed(make_study: Make, run: Run, results: Path) -> None:
    stop = Watcher(lambda e: os.kill(os.getpid(), signal.SIGINT) if e.kind == "epoch" else None)
    run(make_study(seeds=1), view=stop)
    run(make_study({"C": 0.7}, seeds=1))
    assert "checkpoints" in {item.kind for item in unneeded(results)}
    remove(results, unneeded(results))
    assert not list(results.glob("checkpoints/*/rolling.pt"))


def test_weights_of_trials_that_left_the_plan_go_and_their_trials_stay_whole(
    make_study: Make, run: Run, results: Path
) -> None:
    run(make_study())
    run(make_study({"A": 0.5}))
    left = ids(results, "B")
    assert unneeded(results) == []
    clean(results, "--weights", "--yes")
    assert with_weights(results) == ids(results, "A")
    assert set(json.loads((results / "checkpoints" / "removed.json").read_text())["weights"]) == left
    assert broken_trials(results) == broken_trials(results, weights=True) == {}
    assert check_results(results) == []
    started = len(journal(results))
    assert run(make_study()).before == 4  # both arms again
    assert len(journal(results)) == started


def test_weights_that_disappear_otherwise_are_a_fault(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    clean(results, "--all-weights", "--yes")
    assert broken_trials(results) == {}
    (results / "checkpoints" / "removed.json").unlink()
    assert set(broken_trials(results)) == ids(results, "A") | ids(results, "B")


def test_removed_weights_of_another_digest_are_a_fault(make_study: Make, run: Run, results: Path) -> None:
    run(make_study(seeds=1))
    clean(results, "--all-weights", "--yes")
    file = results / "checkpoints" / "removed.json"
    content = json.loads(file.read_text())
    trial_id = min(content["weights"])
    content["weights"][trial_id] = "0" * 32
    file.write_text(json.dumps(content))
    assert set(broken_trials(results)) == set(broken_trials(results, weights=True)) == {trial_id}


def test_weights_of_reported_arms_go_only_when_all_are_asked_for(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    assert unneeded(results, weights="unreported") == []
    clean(results, "--all-weights", "--yes")
    assert with_weights(results) == set()
    assert run(make_study()).before == 4


def test_an_arm_that_a_race_stopped_is_not_reported_unless_another_arm_shares_its_trial(
    make_study: Make, run: Run, results: Path
) -> None:
    run(make_study({"A": 0.5, "B": 0.6, "same as B": 0.6, "C": 0.7}))
    stopped = tuple(
        Stopped(arm=arm, task="three_class", n=2, rival="A", pairs=2, difference=0.1, p=0.01, limit=0.02)
        for arm in ("B", "C")
    )
    log = RaceLog(study="study", metric="macro_f1", first=2, most=2, step=1, level=0.05, stopped=stopped)
    log.write(Location.of(results))
    assert {item.trial_id for item in unneeded(results, weights="unreported")} == ids(results, "C")


def test_another_study_does_not_reuse_a_trial_whose_weights_were_removed(
    make_study: Make, run: Run, results: Path
) -> None:
    study = make_study()
    run(study)
    other = Location.of(results.parent / "other")
    plan = expand(make_study(name="another"), lambda recipe: ("data", "split"))
    assert len(list(find_equal(other, plan.trials))) == 4
    remove(results, unneeded(results, weights="all"), weights="all")
    assert list(find_equal(other, plan.trials)) == []


def test_a_running_study_is_refused(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    with results_lock(Location.of(results), "study"), pytest.raises(InputError, match="must not be in use") as refused:
        unneeded(results)
    assert str(os.getpid()) in str(refused.value)


def test_disk_use_sums_the_files_by_kind(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    sizes = {name: path.stat().st_size for path in results.rglob("*") if path.is_file() and (name := str(path))}
    (results / "stages" / "s").mkdir(parents=True)
    (results / "stages" / "s" / "rolling.pt").write_bytes(bytes(7))
    (results / "checkpoints" / "unfinished").mkdir()
    (results / "checkpoints" / "unfinished" / "rolling.pt").write_bytes(bytes(11))
    found = disk_use(results)
    assert (found.stages, found.checkpoints) == (7, 11)
    assert found.weights == sum(size for name, size in sizes.items() if name.endswith(WEIGHTS))
    assert found.records == sum(size for name, size in sizes.items() if f"{results}/records/" in name)
    assert found.records + found.weights + found.other == sum(sizes.values())


def test_status_shows_the_disk_use(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    (results / "stages" / "s").mkdir(parents=True)
    (results / "stages" / "s" / "rolling.pt").write_bytes(bytes(7_000_000))
    shown = CliRunner().invoke(app, ["status", str(results)], catch_exceptions=False).stdout
    assert "stages 7.0 MB" in shown
    found = json.loads(CliRunner().invoke(app, ["status", str(results), "--json"], catch_exceptions=False).stdout)
    assert found["disk"]["stages"] == 7_000_000


def test_claims_of_joined_runs_are_removed_and_a_suspended_process_of_such_a_run_still_cannot_write(
    make_study: Make, run: Run, results: Path
) -> None:
    place = Location.of(results)
    run(make_study(), join=True)
    (ended,) = (results / "leases" / "runs").glob("*.ended")
    claims = [file for file in (results / "leases").rglob("*") if file.is_file() and file != ended]
    assert len(claims) > 4
    done = clean(results, "--yes")
    assert f"claims of joined runs that have ended: {len(claims)}, " in done.output
    assert [file for file in (results / "leases").rglob("*") if file.is_file()] == [ended]
    with pytest.raises(FencedError, match="has ended"):
        check_fence(place, 0, ended.stem)
    assert unneeded(results) == []
    again = run(make_study(), join=True)
    assert (again.before, again.finished, again.reports) == (4, 0, True)


def test_clean_names_the_killed_joined_run_that_it_waits_for(
    make_study: Make, run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(make_study(), join=True)
    monkeypatch.setattr(leases, "EXPIRES_AFTER_S", 0.3)
    monkeypatch.setattr(leases, "LOOK_EVERY_S", 0.02)
    Leases(Location.of(results), Member(study="study", host="node7", pid=4321, since=0.0)).join()
    time.sleep(0.4)
    done = clean(results, "--yes", "--json")
    assert done.stderr.splitlines() == [
        "Waiting up to 0 s to verify that runs in this folder have ended: process 4321 on node7"
    ]
    assert json.loads(done.stdout)["removed"]
    assert clean(results, "--yes").stderr == ""


def test_claims_of_joined_runs_are_kept_while_one_may_be_alive(make_study: Make, run: Run, results: Path) -> None:
    run(make_study(), join=True)
    with joined(Location.of(results), "study", "code") as claims:
        claims.claim("trial")
        with pytest.raises(InputError, match="must not be in use"):
            unneeded(results)
        with pytest.raises(InputError, match="only with --join"):
            run(make_study())
        assert (results / "leases" / "claims" / "trial.1").exists()
    run(make_study())
    assert not (results / "leases" / "claims").exists()
