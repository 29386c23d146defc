"""User-defined trainers: planned, run, resumed and reported like the built-in trainer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from own_files import write_trainer_study
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import agrm_study as ags
from agrm_study.api.planning import plan_study
from agrm_study.cli.app import app
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.execution.trial.own_runner import OwnRunner
from agrm_study.execution.trial.runner import RunnerContext
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.plan.expand import expand
from agrm_study.study.errors import InputError
from agrm_study.study.resolved import study_from_dict, study_to_dict

EXAMPLES = Path(__file__).parents[2] / "search_spaces" / "trainers"

TRAINER = '''
"""Nearest mean of one number per sample."""

import json

import numpy as np

import agrm_study as ags

VERSION = "1"


class NearestMean(ags.Trainer):
    """Moves the mean of each class towards its samples."""

    class Options(ags.Options):
        rate: float = 0.5
        """Share of the way per epoch."""
        kind: str = "plain"

    @classmethod
    def samples(cls):
        return [ags.Sample(f"s{i}", "high" if i % 2 else "low", f"p{i // 2 * 2 + i % 2}") for i in range(40)]

    @classmethod
    def fingerprint(cls):
        return VERSION

    def start(self, trial, saved):
        self.trial = trial
        self.means = [0.0, 0.0] if saved is None else json.loads((saved / "means.json").read_text())

    def run_epoch(self, epoch):
        values = self.values(self.trial.train)
        for k in (0, 1):
            self.means[k] += self.options.rate * (values[self.trial.train_labels == k].mean() - self.means[k])
        return {"loss": 1.0 / epoch}

    def predict(self, ids):
        logits = -((self.values(ids)[:, None] - np.array(self.means)) ** 2)
        exp = np.exp(logits - logits.max(1, keepdims=True))
        return exp / exp.sum(1, keepdims=True)

    def save(self, folder):
        (folder / "means.json").write_text(json.dumps(self.means))

    def values(self, ids):
        return np.array([int(i[1:]) % 2 + 0.01 * (int(i[1:]) % 7) for i in ids])
'''

STUDY = {
    "name": "means",
    "trainer": "means.py:NearestMean",
    "tasks": {"level": {"classes": {"low": ["low"], "high": ["high"]}, "positive": "high"}},
    "seeds": [0, 1],
    "set": {"epochs": 3},
    "arms": [{"name": "half"}, {"name": "slow", "set": {"rate": 0.01}}],
    "reference": "half",
    "resources": {"cpu": 1, "gpu": 0},
    "report": {"tables": ["arms"], "figures": ["forest", "learning_curves"]},
}


def write(folder: Path, code: str = TRAINER, **changes: object) -> Path:
    return write_trainer_study(folder, code, STUDY | changes)


def ids(study: ags.Study) -> dict[str, str]:
    return {f"{c.arm} {c.seed}": c.trial_id for c in expand(study, lambda recipe: ("data", "split")).cells}


def run(file: Path, results: Path) -> object:
    return run_study(ags.load_study(file), RunOptions(results=results, executor="inline"))


def test_a_study_runs_reports_and_does_nothing_the_second_time(tmp_path: Path) -> None:
    file, results = write(tmp_path), tmp_path / "results"
    assert run(file, results).finished == 4
    found = ags.open_results(results)
    assert set(found.trials["status"]) == {"finished"}
    assert set(found.trials["method"]) == {"nearest_mean"}
    assert found.trials[["backbone", "pooling", "tau", "alpha", "momentum", "ramp_epochs"]].isna().all(axis=None)
    assert set(found.predictions["split"]) == {"train", "val", "test"}
    test = found.predictions[found.predictions["split"] == "test"]
    probs = np.exp(np.stack(test["logits"].to_list()))
    assert np.allclose(probs.sum(1), 1.0)
    assert sorted(found.epochs[found.epochs["split"] == "train"]["loss"]) == pytest.approx(
        [1 / 3] * 4 + [0.5] * 4 + [1.0] * 4
    )
    table = found.table("arms").to_frame()
    assert list(table["arm"]) == ["half", "slow"]
    assert "network" not in found.table("arms").to_markdown()  # it knows neither teachers nor windows of a video
    assert run(file, results).finished == 0


def test_groups_are_never_split(tmp_path: Path) -> None:
    file, results = write(tmp_path), tmp_path / "results"
    run(file, results)
    parts = ags.open_results(results).predictions.groupby("subject_id")["split"].nunique()
    assert (parts == 1).all()


def test_settings_at_their_default_are_the_same_trial_and_an_edit_of_the_code_is_another(tmp_path: Path) -> None:
    before = ids(ags.load_study(write(tmp_path)))
    same = write(tmp_path, arms=[{"name": "half", "set": {"rate": 0.5}}, {"name": "slow", "set": {"rate": 0.01}}])
    assert ids(ags.load_study(same)) == before
    assert ids(ags.load_study(write(tmp_path, TRAINER + "\n# more\n"))) == before
    edited = ids(ags.load_study(write(tmp_path, TRAINER.replace("0.01 * (int", "0.02 * (int"))))
    assert not set(edited.values()) & set(before.values())


def test_settings_of_the_shipped_trainer_change_no_identity(tmp_path: Path) -> None:
    before = ids(ags.load_study(write(tmp_path)))
    (tmp_path / "small.yaml").write_text("set: {model.width: 8, ssl.ema.alpha: 0.5, batch.labelled: 4}\n")
    assert ids(ags.load_study(write(tmp_path), preset=str(tmp_path / "small.yaml"))) == before
    longer = ids(ags.load_study(write(tmp_path, set={"epochs": 4})))
    assert not set(longer.values()) & set(before.values())


def test_a_resolved_study_is_read_back_without_its_code(tmp_path: Path) -> None:
    study = ags.load_study(write(tmp_path))
    back = study_from_dict(json.loads(json.dumps(study_to_dict(study))))
    assert ids(back) == ids(study)
    assert back.arm("slow").recipe.training.options == {"rate": 0.01}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"set": {"rat": 0.1}}, r"study.yaml:\d+: .*set\.rat.*no such setting.*Did you mean `rate`"),
        ({"set": {"ssl.ema.alpha": 0.1}}, r"trainer nearest_mean has no such setting.*allowed: rate, kind, epochs"),
        ({"arms": [{"name": "half", "set": {"rate": "fast"}}]}, r"study.yaml:\d+: .*training\.options\.rate.*number"),
        ({"trainer": "means.py:Nearest"}, r"^(?!.*problems:).*does not define a trainer with.*allowed: nearest_mean"),
        ({"trainer": "means.py:NearestMeans"}, r"^(?!.*problems:).*Did you mean `nearest_mean`"),
        ({"trainer": "means.py"}, r"^(?!.*problems:).*must specify a class.*FILE\.py:CLASS"),
        ({"trainer": "gone.py:NearestMean"}, r"there is no such file"),
        ({"set": {"data": {"manifest": "x.csv"}}}, r"no such setting"),
    ],
)
def test_a_wrong_study_is_refused_with_file_and_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=f"(?s){said}"):
        ags.load_study(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('f"s{i}", "high"', '"s", "high"', "ids of samples must be unique"),
        ("return exp / exp.sum(1, keepdims=True)", "return exp", "probabilities that sum to 1"),
        ("return exp / exp.sum(1, keepdims=True)", "return exp[:, :1]", "one row per sample and one column per class"),
        ("return exp / exp.sum(1, keepdims=True)", "return np.full(exp.shape, '0.5')", "must return numbers"),
        ("return exp / exp.sum(1, keepdims=True)", "return [[0.5, 0.5], [1.0]]", "must return an array"),
        ("return exp / exp.sum(1, keepdims=True)", "return None", "must return an array"),
        (
            '{"loss": 1.0 / epoch}',
            '{"loss": float("inf")}',
            "the loss is not finite in epoch 1: mean training loss inf",
        ),
    ],
)
def test_a_trainer_that_breaks_its_contract_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TRAINER
    file, results = write(tmp_path, TRAINER.replace(old, new)), tmp_path / "results"
    if "unique" in said:
        with pytest.raises(InputError, match=said):
            run(file, results)
    else:
        run(file, results)
        trials = ags.open_results(results).trials
        assert trials["error"].str.contains(said).all()
        assert set(trials["failure"]) == {"nan_loss" if "finite" in said else "data"}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("p{i // 2}", "a subject must have one label; p0 has the label"),
        ('p{i % 20}", f"s{i}', "a subject must have one site; p0 has the site"),
    ],
)
def test_a_plan_refuses_a_group_with_two_labels_or_sites(tmp_path: Path, new: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan_study(ags.load_study(write(tmp_path, TRAINER.replace("p{i // 2 * 2 + i % 2}", new))), tmp_path / "results")


def test_folds_keep_the_sites_of_samples_together(tmp_path: Path) -> None:
    splits = {"folds": 4, "group": "site"}
    file, results = write(tmp_path, splits=splits), tmp_path / "results"
    with pytest.raises(InputError, match=r"(?s)require the site of every labelled subject; 40 labelled subjects have"):
        run(file, results)
    placed = TRAINER.replace('f"p{i // 2 * 2 + i % 2}")', 'f"p{i}", f"site {i // 2 % 4}")')
    assert placed != TRAINER
    assert run(write(tmp_path, placed, splits=splits), results).finished == 4 * 4
    found = ags.open_results(results)
    people = found.subjects
    assert people[people["split"] == "test"].groupby("split_fingerprint")["site"].nunique().tolist() == [1] * 4
    assert "between its sites (4 sites in total)" in str(found.table("arms").to_markdown())


def test_a_resumed_trial_equals_one_that_was_not_interrupted(tmp_path: Path) -> None:
    file, results = write(tmp_path), tmp_path / "results"
    run(file, results)
    expected = ags.open_results(results)
    study = ags.load_study(file)
    from agrm_study.execution.data.prepare import prepare

    prepared = prepare(study, results, build=True)
    [trial] = [t for t in expand(study, prepared.fingerprints).trials if (t.arm, t.seed) == ("slow", 1)]
    work = Work(trial=trial, manifest=prepared.manifest_path(trial.recipe))
    context = RunnerContext(settings=WorkerSettings(results=str(results)), checkpoint_dir=tmp_path / "checkpoint")
    first = OwnRunner()
    assert first.start(work, context) == 0
    first.run_epoch()
    first.save()
    second = OwnRunner()
    assert second.start(work, context) == 1
    assert [row.epoch for row in second.rows()] == [1, 1]
    while not second.run_epoch().done:
        pass
    rows = expected.predictions
    rows = rows[(rows["trial_id"] == trial.trial_id) & (rows["split"] == "test")].set_index("clip_id")["logits"]
    [block] = [block for block in second.outcome().predictions if block.split == "test"]
    for clip, logits in zip(block.clip_id, block.logits, strict=True):
        assert np.array_equal(logits, rows[clip])


def test_data_that_change_while_a_study_runs_fail_its_trials(tmp_path: Path) -> None:
    file, results = write(tmp_path), tmp_path / "results"
    changing = TRAINER.replace("return VERSION", "cls.calls = getattr(cls, 'calls', 0) + 1; return str(cls.calls > 1)")
    run(write(tmp_path, changing), results)
    assert (
        ags.open_results(results)
        .trials["error"]
        .str.contains("data must be unchanged since the study was planned")
        .all()
    )
    assert file.is_file()


def test_the_report_needs_neither_the_file_nor_its_code(tmp_path: Path) -> None:
    file, results = write(tmp_path), tmp_path / "results"
    run(file, results)
    before = (results / "tables" / "arms.csv").read_bytes() if (results / "tables").is_dir() else None
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    (tmp_path / "means.py").unlink()
    assert app(["report", str(results)], standalone_mode=False) in (0, None)
    after = (results / "tables" / "arms.csv").read_bytes()
    assert before is None or after == before


def test_commands_that_need_a_network_are_refused(tmp_path: Path) -> None:
    file, results = write(tmp_path), tmp_path / "results"
    run(file, results)
    for command in (
        ("explain", str(results), "x"),
        ("export", str(results), "--out", str(tmp_path / "x")),
        ("evaluate", str(results), "--corrupt", "blur"),
    ):
        with pytest.raises(InputError, match=r"requires networks of the built-in trainer; .* only that trainer can"):
            app(list(command), standalone_mode=False)


def test_the_schema_offers_the_trainer_s_settings(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    from agrm_study.api.names import all_names, parts_of, trainer_of
    from agrm_study.study.schema import study_schema

    file = write(tmp_path)
    own = parts_of(file)
    schema = study_schema(all_names(own), own.parts, trainer_of(file, own))
    validator = Draft202012Validator(schema)
    assert not list(validator.iter_errors(yaml.safe_load(file.read_text())))
    for wrong in (
        {"set": {"rat": 1}},
        {"arms": [{"name": "a", "set": {"rate": "x"}}]},
        {"set": {"ssl.method": "agrm"}},
    ):
        assert list(validator.iter_errors(STUDY | wrong)), wrong


@pytest.mark.slow
@pytest.mark.parametrize(("name", "trials"), [("tabular", 15), ("digits", 9)])
def test_a_shipped_example_runs_in_under_sixty_lines(name: str, trials: int, tmp_path: Path) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 60
    summary = run(EXAMPLES / f"{name}.yaml", tmp_path / "results")
    assert summary.finished == trials
    results = ags.open_results(tmp_path / "results")
    if name == "digits":
        scores = results.predictions[results.predictions["split"] == "test"]
        hits = scores["logits"].map(np.argmax) == scores["label"]
        assert hits.mean() > 0.9
        return
    people = results.subjects.set_index("subject_id")["split"]
    data = load_breast_cancer()
    train, test = ([int(i) for i in people.index[people == part]] for part in ("train", "test"))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data[train], data.target[train])
    wanted = np.mean(model.predict(data.data[test]) == data.target[test])
    table = results.table("arms").to_frame()
    cell = table[table["arm"] == "logistic"].filter(like="ccuracy").iloc[0, 0]
    assert cell == pytest.approx(wanted)


def check_part(file: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["check-part", str(file)], standalone_mode=False)
    assert done.exception is None, done.output
    return done.return_value or 0, done.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("json.dumps(self.means)", '"[0.0, 0.0]"', "They differ; save all state that changes".lower()),
        ("return exp / exp.sum(1, keepdims=True)", "return exp / exp.sum()", "probabilities that sum to 1; given [0."),
        ("[0.0, 0.0] if", "list(np.random.rand(2)) if", "seed all random number generators with `trial.seed`"),
        ("exp.sum(1, keepdims=True)", "exp.sum(1, keepdims=True) + (1j - 1j)", "given 'an array of type complex128'"),
        ('{"loss": 1.0 / epoch}', '{"loss": float("nan")}', "is not finite in epoch 1: mean training loss nan"),
        ('{"loss": 1.0 / epoch}', "1.0 / epoch", "must return {\"loss\": NUMBER} or nothing; given 'float'"),
        ('{"loss": 1.0 / epoch}', '{"Loss": 1.0}', "given 'the keys Loss'; allowed: loss"),
        ('{"loss": 1.0 / epoch}', '{"loss": "low"}', "given 'a loss of type str'"),
        ("p{i // 2 * 2 + i % 2}", "p{i // 2}", "a subject must have one label"),
        ('2 + i % 2}")', '2 + i % 2}", i)', "the site of a sample must be text"),
    ],
)
def test_a_trainer_is_checked_by_its_conformance_suite(tmp_path: Path, old: str, new: str, said: str) -> None:
    write(tmp_path, TRAINER.replace(old, new) if old else TRAINER)
    code, output = check_part(tmp_path / "means.py")
    assert code == (1 if said else 0), output
    assert said in output if said else "10 of 10 checks pass" in output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("def save(", "def sav(", "means.py: `NearestMean`: the trainer lacks save"),
        ("@classmethod\n    def samples(cls)", "def samples(self)", "samples of the trainer must be a class method"),
    ],
)
def test_a_trainer_that_is_incomplete_gets_one_message(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TRAINER
    write(tmp_path, TRAINER.replace(old, new))
    with pytest.raises(InputError, match=said):
        ags.load_study(tmp_path / "study.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tabular", "digits"])
def test_a_shipped_example_passes_the_checks_of_trainers(name: str) -> None:
    code, output = check_part(EXAMPLES / f"{name}.py")
    assert (code, "10 of 10 checks pass" in output) == (0, True), output


def test_a_search_samples_the_trainer_s_settings_and_an_option_sets_one(tmp_path: Path) -> None:
    space = {"rate": {"float": [0.01, 0.9]}}
    search = {"sampler": "random", "trials": 3, "metric": "val/macro_f1", "space": space, "promote": 1}
    changes = {"arms": None, "reference": None, "search": search, "seeds": [0]}
    file, results = write(tmp_path, **changes), tmp_path / "results"
    assert ags.load_study(file, overrides={"kind": "other"}).base.training.options == {"kind": "other"}
    run(file, results)
    trials = ags.open_results(results).trials
    assert trials["phase"].tolist().count("search") == 3
    assert trials["phase"].tolist().count("final") == 1
    assert all("training.options.rate" in params for params in trials["params"])


def test_a_grid_crosses_the_trainer_s_settings_with_conditions(tmp_path: Path) -> None:
    grid = {"kind": ["plain", "other"], "rate": {"values": [0.1, 0.2], "when": {"kind": "other"}}}
    study = ags.load_study(write(tmp_path, arms=None, reference=None, grid=grid))
    assert [arm.name for arm in study.arms] == ["kind=plain", "kind=other, rate=0.1", "kind=other, rate=0.2"]


PEAK = '''
import numpy as np

import agrm_study as ags


class Peak(ags.Trainer):
    """Right after its second epoch only, with a probability that tells the epoch."""

    class Options(ags.Options):
        pass

    @classmethod
    def samples(cls):
        return [ags.Sample(f"s{i}", "high" if i % 2 else "low") for i in range(40)]

    @classmethod
    def fingerprint(cls):
        return "1"

    def start(self, trial, saved):
        self.epoch = 0 if saved is None else int((saved / "epoch").read_text())

    def run_epoch(self, epoch):
        self.epoch = epoch
        return {}

    def predict(self, ids):
        right = (0.9 if self.epoch == 2 else 0.3) + 0.01 * self.epoch
        return np.array([[1 - right, right] if int(i[1:]) % 2 else [right, 1 - right] for i in ids])

    def save(self, folder):
        (folder / "epoch").write_text(str(self.epoch))
'''


def peak(folder: Path, **settings: object) -> Path:
    file = write(folder, arms=[{"name": "peak"}], reference=None, seeds=[0], trainer="peak.py:Peak")
    (folder / "peak.py").write_text(PEAK)
    content = yaml.safe_load(file.read_text()) | {"set": {"epochs": 9, **settings}, "report": {"tables": ["arms"]}}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def test_a_trainer_with_patience_stops_and_is_judged_at_its_best_epoch(tmp_path: Path) -> None:
    run(peak(tmp_path, **{"training.patience": 3}), tmp_path / "results")
    results = ags.open_results(tmp_path / "results")
    [trial] = results.trials.to_dict("records")
    assert (trial["stop_reason"], trial["best_epoch"], trial["epochs"]) == ("early_stop", 2, 5)
    for part in ("train", "val", "test"):
        rows = results.predictions[results.predictions["split"] == part]
        true = np.exp([logits[label] for logits, label in zip(rows["logits"], rows["label"], strict=True)])
        np.testing.assert_allclose(true, 0.92, rtol=1e-5)
        assert set(rows["epoch"]) == {2}


def test_without_patience_a_trainer_is_judged_at_its_last_epoch_and_is_the_trial_that_it_was(tmp_path: Path) -> None:
    run(peak(tmp_path), tmp_path / "results")
    [trial] = ags.open_results(tmp_path / "results").trials.to_dict("records")
    assert (trial["stop_reason"], trial["best_epoch"], trial["epochs"]) == ("epochs", 9, 9)
    plain, null, three = (
        ids(ags.load_study(peak(tmp_path / name, **settings)))
        for name, settings in (("a", {}), ("b", {"training.patience": None}), ("c", {"training.patience": 3}))
    )
    assert plain == null
    assert plain != three


def test_a_trainer_with_patience_that_is_resumed_after_each_epoch_ends_as_without_interruption(tmp_path: Path) -> None:
    from agrm_study.execution.data.prepare import prepare

    study = ags.load_study(peak(tmp_path, **{"training.patience": 2}))
    prepared = prepare(study, tmp_path / "results", build=True)
    [trial] = expand(study, prepared.fingerprints).trials
    work = Work(trial=trial, manifest=prepared.manifest_path(trial.recipe))
    context = RunnerContext(settings=WorkerSettings(results=""), checkpoint_dir=tmp_path / "checkpoint")
    done, epochs = False, 0
    while not done:
        runner = OwnRunner()
        assert runner.start(work, context) == epochs
        done = runner.run_epoch().done
        runner.save()
        epochs += 1
    again = OwnRunner()
    assert (again.start(work, context), again.run_epoch().done) == (4, True)
    for outcome in (runner.outcome(), again.outcome()):
        assert (outcome.best_epoch, outcome.epochs, outcome.stop_reason) == (2, 4, "early_stop")
        assert np.exp(outcome.predictions[0].logits).max() == pytest.approx(0.92)


def test_patience_of_a_trainer_is_no_setting_of_the_shipped_one(tmp_path: Path) -> None:
    text = "name: x\ntasks: [two_class]\nseeds: 1\ndata: {synthetic: {subjects: 12, unlabelled: 12}}\n"
    file = tmp_path / "study.yaml"
    file.write_text(text + "arms: [{name: A}, {name: B, set: {training.patience: 3}}]\n")
    one, other = expand(ags.load_study(file), lambda recipe: ("data", "split")).cells
    assert one.trial_id == other.trial_id
