"""Studies load from dicts as they do from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tiny_study import WITHOUT_MTM, tiny_study

import agrm_study as ags
from agrm_study.plan.expand import expand
from agrm_study.study.resolved import study_to_dict

STUDY = tiny_study("tiny", {"AGRM": {}, "w/o MTM": WITHOUT_MTM}, epochs=5)


def test_a_dict_gives_the_study_that_the_file_gives(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    from_file, from_dict = ags.load_study(tmp_path / "s.yaml"), ags.load_study(STUDY)
    assert study_to_dict(from_file) == study_to_dict(from_dict)
    same = ("data", "split")
    ids = [expand(study, lambda recipe: same).cells for study in (from_file, from_dict)]
    assert ids[0] == ids[1]


def test_overrides_of_a_dict_are_those_of_the_command_line() -> None:
    by_text = ags.load_study(STUDY, overrides=["epochs=7", "ssl.ema.alpha=1e-05", "seeds=[3]"])
    by_value = ags.load_study(STUDY, overrides={"epochs": 7, "ssl.ema.alpha": 1e-05, "seeds": [3]})
    assert by_text.base == by_value.base
    assert by_value.base.epochs == 7
    assert by_value.seeds == (3,)


def test_paths_in_a_dict_start_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = ags.load_study(STUDY | {"data": {"manifest": Path("m.csv")}})
    assert study.base.data.manifest == tmp_path / "m.csv"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arms": [{"name": "a", "set": {"epoch": 3}}]}, "the given study: .*epochs"),
        ({"seeds": {1, 2}}, "the given study: must contain only plain values"),
        ({"primary_metric": float("nan")}, "the given study: must contain only plain values"),
    ],
)
def test_a_wrong_dict_is_refused_in_one_message(change: dict, words: str) -> None:
    with pytest.raises(ags.InputError, match=words):
        ags.load_study(STUDY | change)


def test_an_unknown_network_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ags.InputError, match="r3d_18"):
        ags.load_study(STUDY, overrides={"model.backbone": "r3d_19"})
