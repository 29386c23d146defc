"""Patches that apply to a block are reverted, whatever happens in it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from agrm_study.execution.driver.patching import patched_attribute, patched_environment


def test_the_environment_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGRM_TEST_SET", "before")
    monkeypatch.delenv("AGRM_TEST_UNSET", raising=False)
    seen = []

    def fail_within() -> None:
        with patched_environment({"AGRM_TEST_SET": "within", "AGRM_TEST_UNSET": "within"}):
            seen.extend([os.environ["AGRM_TEST_SET"], os.environ["AGRM_TEST_UNSET"]])
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert seen == ["within", "within"]
    assert os.environ["AGRM_TEST_SET"] == "before"
    assert "AGRM_TEST_UNSET" not in os.environ


def test_an_attribute_is_put_back_and_one_that_is_not_there_is_an_error() -> None:
    owner = SimpleNamespace(value=1)
    with patched_attribute(owner, "value", 2):
        assert owner.value == 2
    assert owner.value == 1
    with pytest.raises(AttributeError), patched_attribute(owner, "other", 2):
        pass
