"""Patches that apply to a block are reverted, whatever happens in it."""

from __future__ import annotations

import os

import pytest

from agrm_study.execution.driver.patching import patched_environment


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
