"""User-defined trainers that declare shared epochs, and that save weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from own_files import write_trainer_study
from safetensors.numpy import load_file

import agrm_study as ags
from agrm_study.api.planning import plan_study
from agrm_study.cli.app import app
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.execution.trial.checkpoints import ROLLING
from agrm_study.execution.trial.own_checkpoint import OwnCheckpoint
from agrm_study.records.integrity import weights_digest
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.study.errors import InputError
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.resolved import study_to_dict
from agrm_study.training.failures import CheckpointError

CODE = '''
"""The mean of each class, moved at one rate first and at another one later."""

import json

import numpy as np

import agrm_study as ags


class Means(ags.Trainer):
    """Moves the mean of each class towards its samples."""

    trained = []

    class Options(ags.Options):
        warm: int = 3
        rate: float = 0.5
        late: float = 0.5

    @classmethod
    def samples(cls):
        return [ags.Sample(f"s{i}", "high" if i % 2 else "low") for i in range(40)]

    @classmethod
    def fingerprint(cls):
        return "1"

    @classmethod
    def shared_epochs(cls, options):
        return options.warm, ["rate"]

    def start(self, trial, saved):
        self.trial = trial
        self.means = [0.2, 0.3] if saved is None else json.loads((saved / "means.json").read_text())

    def run_epoch(self, epoch):
        self.trained.append(epoch)
        values = self.values(self.trial.train)
        rate = self.options.rate if epoch <= self.options.warm else self.options.late
        noise = np.random.default_rng([self.trial.seed, epoch]).normal(0.0, 0.01)
        for k in (0, 1):
            self.means[k] += rate * (values[self.trial.train_labels == k].mean() - self.means[k] + noise)
        return {"loss": abs(self.means[0]) + 1.0 / epoch}

    def predict(self, ids):
        logits = -((self.values(ids)[:, None] - np.array(self.means)) ** 2)
        exp = np.exp(logits - logits.max(1, keepdims=True))
        return exp / exp.sum(1, keepdims=True)

    def save(self, folder):
        (folder / "means.json").write_text(json.dumps(self.means))

    def values(self, ids):
        return np.array([int(i[1:]) % 2 + 0.01 * (int(i[1:]) % 7) for i in ids])

    def weights(self):
        return {"means": np.array(self.means)}
'''
ENDLESS = CODE.replace('return options.warm, ["rate"]', "return 1000, [*cls.Options.model_fields]")
LATE = [{"name": f"late {late}", "set": {"late": late}} for late in (0.1, 0.2, 0.4)]
STUDY = {
    "name": "means",
    "trainer": "means.py:Means",
    "tasks": {"level": {"classes": {"low": ["low"], "high": ["high"]}, "positive": "high"}},
    "seeds": [0, 1],
    "set": {"epochs": 5},
    "arms": LATE,
    "resources": {"cpu": 1, "gpu": 0},
    "report": {"tables": ["arms"], "figures": []},
}


def write(folder: Path, code: str = CODE, **changes: object) -> Path:
    study = {name: value for name, value in (STUDY | changes).items() if value is not None}
    return write_trainer_study(folder, code, study)


def run(file: Path, results: Path) -> list[int]:
    """Runs a study; returns the epochs that were trained."""
    study = ags.load_study(file)
    trained: list[int] = own_class("trainer", study.base.training.trainer).trained
    trained.clear()
    summary = run_study(study, RunOptions(results=results, executor="inline"))
    assert not summary.failed
    return list(trained)


def records(results: Path, kind: str) -> pa.Table:
    rows = Ledger(Location.of(results)).table_of(kind)
    return rows.sort_by([(name, "ascending") for name in rows.column_names if name in ("trial_id", "split", "epoch")])


def assert_same_records(one: Path, other: Path) -> None:
    for kind in ("epochs", "predictions"):
        assert records(one, kind).equals(records(other, kind))
    outcome = ("trial_id", "status", "best_epoch", "epochs", "predictions_digest", "weights_digest", "stop_reason")
    assert records(one, "trials").select(outcome).equals(records(other, "trials").select(outcome))


def test_declared_epochs_are_trained_once_and_the_records_are_those_of_trials_trained_alone(tmp_path: Path) -> None:
    alone = run(write(tmp_path / "alone", sharing=False), tmp_path / "alone/results")
    assert sorted(alone) == sorted(6 * [1, 2, 3, 4, 5])
    shared = run(write(tmp_path / "shared"), tmp_path / "shared/results")
    assert sorted(shared) == sorted(2 * [1, 2, 3] + 6 * [4, 5])
    assert_same_records(tmp_path / "alone/results", tmp_path / "shared/results")
    assert not (tmp_path / "shared/results/stages").exists()


def test_plan_counts_the_epochs_that_trials_share(tmp_path: Path) -> None:
    plan = plan_study(ags.load_study(write(tmp_path)), tmp_path / "results")
    assert (plan.epochs_at_most, plan.sharing.epochs_at_most, plan.sharing.stages_shared) == (30, 18, 2)
    alone = plan_study(ags.load_study(write(tmp_path, sharing=False)), tmp_path / "results")
    assert alone.sharing.epochs_at_most == 30


def test_options_that_act_in_the_declared_epochs_and_other_seeds_part_them(tmp_path: Path) -> None:
    arms = [{"name": "slow", "set": {"rate": 0.1}}, {"name": "fast", "set": {"rate": 0.4}}]
    assert plan_study(ags.load_study(write(tmp_path, arms=arms)), tmp_path / "results").sharing.stages_shared == 0


def test_a_trial_with_fewer_declared_epochs_shares_those_that_both_have(tmp_path: Path) -> None:
    arms = [{"name": "short", "set": {"warm": 2, "late": 0.1}}, {"name": "long", "set": {"warm": 4, "late": 0.1}}]
    alone = run(write(tmp_path / "alone", sharing=False, arms=arms, seeds=[0]), tmp_path / "alone/results")
    shared = run(write(tmp_path / "shared", arms=arms, seeds=[0]), tmp_path / "shared/results")
    assert (len(alone), sorted(shared)) == (10, [1, 2, 3, 3, 4, 4, 5, 5])
    assert_same_records(tmp_path / "alone/results", tmp_path / "shared/results")


def test_early_stopping_in_or_after_shared_epochs_is_that_of_a_trial_trained_alone(tmp_path: Path) -> None:
    settings = {"epochs": 30, "training.patience": 2, "warm": 6}
    alone = run(write(tmp_path / "alone", sharing=False, set=settings), tmp_path / "alone/results")
    shared = run(write(tmp_path / "shared", set=settings), tmp_path / "shared/results")
    assert len(shared) < len(alone) < 6 * 30
    assert_same_records(tmp_path / "alone/results", tmp_path / "shared/results")


def test_a_trainer_that_declares_nothing_shares_nothing(tmp_path: Path) -> None:
    start = CODE.index("    @classmethod\n    def shared_epochs")
    code = CODE[:start] + CODE[CODE.index("    def start") :]
    study = ags.load_study(write(tmp_path, code, sharing="keep"))
    assert study.sharing is False
    assert study_to_dict(study)["sharing"] is False
    assert len(run(tmp_path / "study.yaml", tmp_path / "results")) == 30
    assert not (tmp_path / "results/stages").exists()


def test_kept_states_continue_when_epochs_are_raised_unless_the_number_of_epochs_acts(tmp_path: Path) -> None:
    file, results = write(tmp_path, ENDLESS, sharing="keep", arms=LATE[:1]), tmp_path / "results"
    assert sorted(run(file, results)) == sorted(2 * [1, 2, 3, 4, 5])
    longer = write(tmp_path, ENDLESS, sharing="keep", arms=LATE[:1], set={"epochs": 7})
    [note] = [note for note in plan_study(ags.load_study(longer), results).notes if "epochs 5" in note]
    assert note == "epochs 5 → 7: trials that resume from saved states of finished ones: 2."
    assert sorted(run(longer, results)) == [6, 6, 7, 7]
    counted = ENDLESS.replace("[*cls.Options.model_fields]", '[*cls.Options.model_fields, "epochs"]')
    run(write(tmp_path / "counted", counted, sharing="keep", arms=LATE[:1]), tmp_path / "counted/results")
    longer = write(tmp_path / "counted", counted, sharing="keep", arms=LATE[:1], set={"epochs": 7})
    [note] = [
        note for note in plan_study(ags.load_study(longer), tmp_path / "counted/results").notes if "5 → 7" in note
    ]
    assert note.endswith("2, because their trainer does not declare all of these epochs as shared.")
    assert len(run(longer, tmp_path / "counted/results")) == 14


@pytest.mark.parametrize(
    ("space", "shares"),
    [
        ({"late": {"choice": [0.1, 0.2, 0.4]}}, True),
        ({"late": {"float": [0.1, 0.4]}}, True),
        ({"rate": {"float": [0.1, 0.4]}}, False),
    ],
)
def test_a_search_shares_the_declared_epochs_that_its_points_have_in_common(
    space: dict[str, object], shares: bool, tmp_path: Path
) -> None:
    search = {"sampler": "random", "trials": 3, "space": space, "promote": 0}
    file = write(tmp_path, arms=None, search=search, seeds=[0])
    trained = run(file, tmp_path / "results")
    found = ags.open_results(tmp_path / "results").trials
    assert len(found[found["phase"] == "search"]) == 3
    final = (found["phase"] == "final").sum()  # the base recipe, with another seed
    assert trained.count(1) == final + (1 if shares else 3)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("3", "must return a number of epochs and a list of option names; given 3"),
        ("-1, []", "must return a number of epochs"),
        ("3, 'rate'", "must return a number of epochs"),
        ("options.war, []", "`shared_epochs` raises AttributeError: .*war"),
        ("3, ['rat']", "must list options of the trainer; given 'rat'; allowed: warm, rate, late, epochs.*`rate`"),
    ],
)
def test_a_wrong_declaration_is_refused_by_plan(returned: str, said: str, tmp_path: Path) -> None:
    file = write(tmp_path, CODE.replace('return options.warm, ["rate"]', f"return {returned}"))
    with pytest.raises(InputError, match=f"(?s)trainer means: .*{said}"):
        plan_study(ags.load_study(file), tmp_path / "results")


def test_a_state_of_another_stage_is_refused(tmp_path: Path) -> None:
    OwnCheckpoint(2, (), b"", "one").write(tmp_path / ROLLING, lambda folder: None)
    (tmp_path / "files").mkdir()
    assert OwnCheckpoint.read(tmp_path / ROLLING, tmp_path / "files", "one").epoch == 2
    for other in ("", "two"):
        with pytest.raises(CheckpointError, match="belongs to the stage 'one'"):
            OwnCheckpoint.read(tmp_path / ROLLING, tmp_path / "files", other)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ('["rate"]', "[]", "epoch 1 differs between trials with different values of `rate`"),
        (
            "return options.warm,",
            "return options.warm + 1,",
            "epoch 4 differs between trials with different values of `late`",
        ),
        ("1.0 / epoch}", "1.0 / (self.trial.epochs - epoch + 1)}", "different values of `epochs`"),
        ("json.dumps(self.means)", "json.dumps([m * self.options.late for m in self.means])", "epoch 4 differs"),
        ('{"means": np.array(self.means)}', "self.means", "must return a mapping from names to arrays of numbers"),
        ('{"means": np', '{"__metadata__": np', "other than __metadata__, which safetensors reserves"),
        ('{"means": np', '{"\\udcff": np', "must be valid Unicode text"),
        ("np.array(self.means)}", "np.ma.masked_less(self.means, 1e9)}", "Replace masked values"),
        ("options.warm, [", "0, [", "no epoch is declared"),
    ],
)
def test_the_conformance_suite_checks_the_declaration_and_the_weights(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    assert old in CODE
    write(tmp_path, CODE.replace(old, new) if old else CODE)
    done = CliRunner().invoke(app, ["check-part", str(tmp_path / "means.py")], standalone_mode=False)
    assert done.exception is None, done.output
    assert done.return_value == (1 if said else 0), done.output
    assert (said or "10 of 10 checks pass") in done.output


def test_the_weights_of_reported_trials_are_kept_at_their_best_epoch_with_their_digest(tmp_path: Path) -> None:
    file, results = write(tmp_path, seeds=[0], **{"set": {"epochs": 9, "training.patience": 1}}), tmp_path / "results"
    run(file, results)
    for row in ags.open_results(results).trials.to_dict("records"):
        kept = results / "checkpoints" / row["trial_id"] / "best.safetensors"
        assert weights_digest(kept.read_bytes()) == row["weights_digest"]
        assert row["best_epoch"] < row["epochs"]
        study = ags.load_study(file)
        trainer = own_class("trainer", study.base.training.trainer)
        [arm] = [arm for arm in study.arms if arm.name == row["arm"]]
        again = trainer(trainer.options_of(arm.recipe.training.options))
        people = ags.open_results(results).subjects
        train = tuple(sorted(people[people["split"] == "train"]["subject_id"], key=lambda i: int(i[1:])))
        labels = np.array([int(i[1:]) % 2 for i in train])
        again.start(
            ags.Trial(classes=("low", "high"), seed=0, epochs=9, train=train, train_labels=labels, val=(),
                      val_labels=labels[:0]), None,
        )  # fmt: skip
        for epoch in range(1, row["best_epoch"] + 1):
            again.run_epoch(epoch)
        np.testing.assert_allclose(load_file(kept)["means"], again.means, rtol=1e-12)


def test_no_weights_are_kept_if_the_study_or_the_trainer_keeps_none(tmp_path: Path) -> None:
    run(write(tmp_path / "study", keep_weights="none"), tmp_path / "study/results")
    code = CODE[: CODE.index("    def weights")]
    run(write(tmp_path / "trainer", code), tmp_path / "trainer/results")
    for folder in ("study", "trainer"):
        assert not list((tmp_path / folder).rglob("*.safetensors"))
        assert ags.open_results(tmp_path / folder / "results").trials["weights_digest"].isna().all()


def test_a_trial_whose_weights_are_damaged_is_trained_again(tmp_path: Path) -> None:
    file, results = write(tmp_path, arms=LATE[:1], seeds=[0]), tmp_path / "results"
    run(file, results)
    shutil.copytree(results, tmp_path / "before")
    [kept] = results.rglob("best.safetensors")
    kept.unlink()
    assert len(run(file, results)) == 5
    assert_same_records(tmp_path / "before", results)
