"""`explain` on a finished study: figures and a table, or one clear message if that is impossible."""

import json
import shutil

import av
import cv2
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from agrm_study.cli.explain import explain
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.explain.regions import REGIONS
from agrm_study.records.reader import Ledger
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study

STUDY = {
    "name": "tiny",
    "tasks": ["three_class"],
    "seeds": 2,
    "data": {"synthetic": {"subjects": 18, "unlabelled": 2}, "unlabelled_train": 1, "unlabelled_val": 1},
    "set": {
        "epochs": 1,
        "clip": {"frames": 4, "fps": 4.0, "crop": "person_box", "resize": 28, "size": 24},
        "model": {"width": 4, "depth": 10},
        "ssl": {"pretrain_epochs": 0},
        "batch": {"labelled": 6, "unlabelled": 3},
        "evaluate": {"clips": 2},
    },
    "arms": [{"name": "AGRM"}, {"name": "w/o MTM", "set": {"ssl.method": "supervised"}}],
    "reference": "AGRM",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    options = RunOptions(results=folder / "results", executor="inline", workers=1)
    assert run_study(load_study(folder / "study.yaml"), options).exit_code == 0
    return folder / "results"


@pytest.fixture
def results(ran, monkeypatch):
    """The study's results, to be damaged: a copy beside the shared data."""
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(ran.parent / ".data"))
    copy = ran.parent / "copy"
    shutil.copytree(ran, copy)
    yield copy
    shutil.rmtree(copy)


def call(*words):
    return CliRunner().invoke(explain, [str(word) for word in words], catch_exceptions=False)


def test_every_clip_has_a_picture_and_a_movie_and_every_region_a_row(results, tmp_path):
    done = call(results, "--arm", "AGRM", "--seed", 1, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    [pictures] = [path for path in tmp_path.iterdir() if path.is_dir() and path.name != "occlusion"]
    listed = pd.read_csv(pictures / "clips.csv")
    assert (listed["label"] != listed["decided"]).any()
    for name in listed["file"]:
        assert cv2.imread(str(pictures / f"{name}.png")) is not None
        with av.open(str(pictures / f"{name}.mp4")) as movie:
            stream = movie.streams.video[0]
            assert (stream.width, stream.height, stream.frames) == (640, 320, 16)
    summary = pd.read_csv(tmp_path / "occlusion.csv", keep_default_na=False)
    assert (summary["arm"] == "AGRM").all()
    assert (summary["seeds"] == 2).all()
    assert set(summary.loc[summary["measure"] == "drop", "region"]) == set(REGIONS)

    assert call(results, "--arm", "w/o MTM", "--out", tmp_path, "--subjects", 2, "--clips", 1).exit_code == 0
    both = pd.read_csv(tmp_path / "occlusion.csv")
    assert list(both["arm"].unique()) == ["AGRM", "w/o MTM"]
    assert "w/o MTM" in (tmp_path / "occlusion.md").read_text()


def test_the_table_is_the_mean_over_seeds_of_each_seeds_mean(results, tmp_path):
    call(results, "--arm", "AGRM", "--out", tmp_path, "--clips", 1, "--subjects", 3)
    raw = pd.concat(pd.read_csv(path) for path in (tmp_path / "occlusion").glob("*.csv"))
    knee = raw[(raw["region"] == "knee") & (raw["measure"] == "drop")].groupby("seed")["value"].mean()
    summary = pd.read_csv(tmp_path / "occlusion.csv").set_index(["region", "measure"]).loc[("knee", "drop")]
    assert summary["mean"] == pytest.approx(knee.mean())
    assert summary["std"] == pytest.approx(knee.std(ddof=1))


def test_the_same_call_writes_the_same_bytes(results, tmp_path):
    written = []
    for name in ("first", "second"):
        call(results, "--arm", "AGRM", "--out", tmp_path / name, "--subjects", 2, "--clips", 1)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file() and path.suffix != ".pdf"]
        written.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert written[0] == written[1]


def test_a_trial_is_named_by_the_beginning_of_its_id_and_the_check_can_be_left_out(results, tmp_path):
    trial_id = Ledger(results).trials()["trial_id"][0]
    done = call(results, trial_id[:10], "--out", tmp_path, "--clips", 1, "--subjects", 0)
    assert done.exit_code == 0
    assert (tmp_path / trial_id / "grid.png").is_file()
    assert not (tmp_path / "occlusion.csv").exists()


def test_an_unknown_trial_is_told_with_the_known_ones(results):
    with pytest.raises(InputError, match="must be the id of a finished trial"):
        call(results, "zzzz")
    with pytest.raises(InputError, match=r"must be an arm of the study.*Did you mean `AGRM`"):
        call(results, "--arm", "AGRN")
    with pytest.raises(InputError, match=r"must be a seed of the arm.*allowed: 0, 1"):
        call(results, "--arm", "AGRM", "--seed", 9)
    with pytest.raises(InputError, match="must be a task of the study"):
        call(results, "--arm", "AGRM", "--task", "two_class")
    with pytest.raises(InputError, match="the prefix matches several trial ids"):
        call(results, "")


def test_a_folder_without_results_is_told(tmp_path):
    with pytest.raises(InputError, match="must be a results folder"):
        call(tmp_path, "abc")


def weights_of(results, arm, seed):
    trials = Ledger(results).trials()
    [trial_id] = trials.loc[(trials["arm"] == arm) & (trials["seed"] == seed), "trial_id"]
    return results / "checkpoints" / trial_id / "best.safetensors"


def test_missing_weights_are_told_and_those_of_another_seed_left_out(results, tmp_path):
    weights_of(results, "AGRM", 1).unlink()
    with pytest.raises(InputError, match="the weights of this trial were not kept"):
        call(results, "--arm", "AGRM", "--seed", 1)
    done = call(results, "--arm", "AGRM", "--seed", 0, "--out", tmp_path, "--subjects", 1, "--clips", 1)
    assert "seed 1 is omitted" in done.output
    assert (pd.read_csv(tmp_path / "occlusion.csv")["seeds"] == 1).all()


def without_digests(results, trial_id):
    """Makes a `trials` record one of version 0.1."""
    path = results / "records" / "trials" / f"{trial_id}.parquet"
    table = pq.read_table(path)
    for name in [name for name in table.column_names if name.endswith("digest")]:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.nulls(table.num_rows, pa.string()))
    pq.write_table(table, path)


def test_weights_with_a_flipped_bit_are_refused(results):
    path = weights_of(results, "AGRM", 0)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="the weights do not match the digest") as refused:
        call(results, "--arm", "AGRM", "--seed", 0)
    assert str(path) in str(refused.value)


def test_weights_that_do_not_answer_what_was_recorded_are_refused(results):
    path = weights_of(results, "AGRM", 0)
    without_digests(results, path.parent.name)
    epoch = Ledger(results).trials().set_index("trial_id").loc[path.parent.name, "best_epoch"]
    loaded = {name: value.clone() for name, value in load_file(path).items()}  # not the mapped file, which is replaced
    other = {name: value + 0.5 if name.endswith("fc.bias") else value for name, value in loaded.items()}
    other = {name: value * 2 if name.endswith("fc.weight") else value for name, value in other.items()}
    save_file(other, path, metadata={"epoch": str(epoch)})
    with pytest.raises(InputError, match="must reproduce the recorded logits"):
        call(results, "--arm", "AGRM", "--seed", 0)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(InputError, match="the weights cannot be read"):
        call(results, "--arm", "AGRM", "--seed", 0)
    save_file(other, path, metadata={"epoch": "99"})
    with pytest.raises(InputError, match="must be from the recorded best epoch"):
        call(results, "--arm", "AGRM", "--seed", 0)


def unsigned(study):
    """The lines of a resolved study without its digest, as version 0.1 wrote it: they can be edited."""
    return [line for line in study.read_text().splitlines() if not line.startswith("#")]


def test_data_that_are_no_longer_those_of_the_records_are_refused(results):
    study = results / "study.yaml"
    study.write_text("\n".join(unsigned(study)).replace("labelled_fraction: 1.0", "labelled_fraction: 0.5") + "\n")
    with pytest.raises(InputError, match="the data must be the same as during training"):
        call(results, "--arm", "AGRM", "--seed", 0)


def test_a_manifest_that_has_gone_is_told(results):
    study = results / "study.yaml"
    lines = unsigned(study)
    start = next(place for place, line in enumerate(lines) if line.strip() == "synthetic:")
    assert all(line.startswith("      ") for line in lines[start + 1 : start + 5])
    lines[start : start + 5] = ["    synthetic: null"]
    text = "\n".join(lines).replace("manifest: null", "manifest: /gone/manifest.parquet", 1)
    study.write_text(text + "\n")
    with pytest.raises(InputError, match=r"/gone/manifest\.parquet"):
        call(results, "--arm", "AGRM", "--seed", 0)
