"""The share of a GPU that `gpu: auto` selects, and the measurements behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from agrm_study.execution.resources import gpu_share as module
from agrm_study.execution.resources.gpu_share import (
    MOST_MEASURED,
    MOST_ON_ONE,
    Measured,
    decide,
    gpu_share,
    heaviest,
    keep_to_share,
    kind_of,
    known_share,
    measured_share,
    share_for,
)
from agrm_study.records.location import Location
from agrm_study.study.recipe import Recipe

GIB = 2**30


def recipe(width: int = 8, **settings: object) -> Recipe:
    values = {"model": {"width": width, "depth": 10}, "clip": {"frames": 4, "size": 32}, **settings}
    return Recipe.model_validate(values)


def test_the_share_is_the_smallest_kth_that_holds_the_peak_with_its_reserve() -> None:
    total = 80 * GIB
    assert share_for(10 * GIB, total) == pytest.approx(1 / 6)  # 80 / 11.5 = 6.96
    assert share_for(34 * GIB, total) == pytest.approx(1 / 2)
    assert share_for(35 * GIB, total) == 1.0  # 40.25 GiB with the reserve
    assert share_for(79 * GIB, total) == 1.0
    assert share_for(1, total) == pytest.approx(1 / MOST_ON_ONE)


def test_recipes_of_one_step_are_of_one_kind_whatever_else_differs() -> None:
    same = recipe(epochs=3, seed=5, ssl={"threshold": {"tau": 0.6}}, optimizer={"lr": 0.5})
    assert kind_of(recipe()) == kind_of(same)
    others = [
        recipe(16),
        recipe(batch={"labelled": 4}),
        recipe(clip={"frames": 8, "size": 32}),
        recipe(ssl={"method": "supervised"}),
        recipe(batch={"accumulate": 2}),
        recipe(ssl={"views": 2}),
        recipe(ssl={"batch_norm": "joint"}),
    ]
    assert len({kind_of(r) for r in [recipe(), *others]}) == 8


def test_the_heaviest_kinds_are_measured() -> None:
    widths = [8, 64, 16, 32, 24, 48]
    kinds = heaviest([recipe(width) for width in widths] + [recipe(64, seed=1)])
    assert [r.model.width for r in kinds.values()] == sorted(widths, reverse=True)[:MOST_MEASURED]


class Gpu:
    """Measures by width of the network, and remembers what it was asked for."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.asked = name, total, list[int]()

    def __call__(self, wanted: Mapping[str, Recipe], known: Sequence[Measured]) -> Measured:
        old = next((m.peaks for m in known if m.name == self.name), {})
        new = {kind: r.model.width * GIB for kind, r in wanted.items() if kind not in old}
        self.asked += [wanted[kind].model.width for kind in new]
        return Measured(name=self.name, total=self.total, peaks={**old, **new})


def test_what_was_measured_on_a_gpu_of_that_name_is_not_measured_again(tmp_path: Path) -> None:
    results, gpu = Location.of(tmp_path), Gpu("H200", 141 * GIB)
    assert known_share(results, [recipe(16)]) is None
    first = measured_share(results, [recipe(16), recipe(8)], gpu)
    assert first.gpu == pytest.approx(1 / 7)  # 141 / (16 · 1.15) = 7.66
    assert first.note == (
        "gpu: auto measured up to 16.0 GiB for a step on H200 (141.0 GiB): "
        "1/7 of a GPU per trial, 7 trials at a time on one GPU."
    )
    measured_share(results, [recipe(16), recipe(32)], gpu)
    assert gpu.asked == [16, 8, 32]
    small = Gpu("T4", 16 * GIB)
    assert measured_share(results, [recipe(8)], small).gpu == 1.0
    assert small.asked == [8]
    assert measured_share(results, [recipe(16)], gpu).gpu == first.gpu
    assert gpu.asked == [16, 8, 32]
    known = known_share(results, [recipe(16), recipe(8)])
    assert known is not None
    assert known.gpu == first.gpu


def test_a_step_that_does_not_fit_gets_a_whole_gpu_and_says_so() -> None:
    kind = kind_of(recipe())
    share = decide([kind], Measured(name="T4", total=16 * GIB, peaks={kind: 16 * GIB}))
    assert share is not None
    assert share.gpu == 1.0
    assert "did not fit" in share.note


def test_a_damaged_file_is_measured_anew(tmp_path: Path) -> None:
    (tmp_path / module.FILE).write_text('{"gpu_memory_version": 1, "gpus": [{}]}')
    gpu = Gpu("H200", 141 * GIB)
    assert measured_share(Location.of(tmp_path), [recipe(8)], gpu).gpu < 1
    assert gpu.asked == [8]


def test_nothing_is_measured_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "local_gpus", lambda: 0)
    assert gpu_share("auto", None) == (0.0, "gpu: auto found no GPU on this machine: trials run on the CPU.")
    assert gpu_share(0.5, None) == (0.5, None)
    assert gpu_share("auto", "ray://head:10001") == (1.0, None)


def test_a_process_is_kept_to_its_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    told: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    for share in (0.25, 0.0, 1.0, 2.0):
        keep_to_share(share)
    assert told == [0.25]


def test_measuring_asks_the_cuda_api_and_counts_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CUDA memory API is replaced; the step itself is made on the processor."""
    import torch

    from agrm_study.training import step_memory

    calls: dict[str, Callable[..., object]] = {
        "get_device_name": lambda index=0: "Fake GPU",
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda: None,
        "max_memory_reserved": lambda: 6 * GIB,
        "memory_reserved": lambda: 5 * GIB,
        "mem_get_info": lambda: (74 * GIB, 80 * GIB),  # 6 GiB in use, 5 of them torch's
    }
    for name, call in calls.items():
        monkeypatch.setattr(torch.cuda, name, call)
    made = step_memory.step_bytes
    monkeypatch.setattr(step_memory, "step_bytes", lambda recipe, device, gauge: made(recipe, "cpu", gauge))
    found = module.measure_here({kind_of(recipe()): recipe()}, [])
    assert (found.name, found.total) == ("Fake GPU", 80 * GIB)
    assert found.peaks == {kind_of(recipe()): 7 * GIB}
