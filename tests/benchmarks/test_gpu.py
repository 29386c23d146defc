"""The GPU benchmark on a machine without a GPU: measured rows, and rows reported as not run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torchvision.models.video import R3D_18_Weights

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules of the script."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import gpu
        from gpu_parts import gpu_tests, rows, seeds, steps

        yield SimpleNamespace(gpu=gpu, gpu_tests=gpu_tests, rows=rows, seeds=seeds, steps=steps)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_single_precision_is_measured_and_every_gpu_part_is_not_run(bench, tmp_path, capsys, monkeypatch):
    shape = []

    def step_row(precision, given, device, tflop=None):
        shape.append((given.name, device))
        return bench.rows.Row(part="step", setting=precision.name, state="measured", figures={"step_ms": 1.0})

    monkeypatch.setattr(bench.steps, "step_row", step_row)
    file = tmp_path / "out" / "table.json"
    parts = [word for part in ("tests", "step", "networks", "compile") for word in ("--only", part)]
    assert bench.gpu.main([*parts, "--json", str(file), "--save"]) == 0
    assert shape == [("small", "cpu")]
    told = json.loads(file.read_text())
    assert (told["card"], told["shape"], told["cuda"]) == (None, "small", None)
    rows = {(row["part"], row["setting"]): row for row in told["rows"]}
    assert rows.pop(("step", "fp32"))["state"] == "measured"
    assert {(row["state"], row["note"], len(row["figures"])) for row in rows.values()} == {
        ("not run", "needs a GPU", 0)
    }
    assert {setting for part, setting in rows if part == "step"} == {
        *("tf32", "bf16", "fp16", "bf16, compiled", "bf16, deterministic")
    }
    assert {setting for part, setting in rows if part == "networks"} >= {"s3d", "mvit_v2_s", "swin3d_t"}
    assert ("compile", "two trials") in rows
    assert {setting for part, setting in rows if part == "tests"} >= {
        *("test_precisions", "test_memory", "test_deterministic", "test_compiled_trials", "test_own_trainer")
    }
    out, err = capsys.readouterr()
    assert "CPU (no GPU found), small shape" in out
    assert "nothing saved: there is no GPU" in err


@pytest.mark.slow
@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_whole_script_runs_to_its_end(bench, tmp_path):
    file = tmp_path / "table.json"
    assert bench.gpu.main(["--json", str(file)]) == 0
    rows = {(row["part"], row["setting"]): row for row in json.loads(file.read_text())["rows"]}
    step = rows["step", "fp32"]["figures"]
    assert step["tflop_per_s"] == pytest.approx(step["step_tflop"] / step["learn_ms"] * 1e3)
    assert step["loop_over_step"] == pytest.approx(step["loop_ms"] / step["step_ms"])
    assert rows["input", "2 steps ahead"]["figures"]["clips_per_s"] > 0
    alone = rows["seeds", "one after the other"]["figures"]
    assert 0 < alone["sum_of_trials_s"] <= alone["trials_s"] * 1.01
    assert {rows["seeds", each]["state"] for each in ("two per GPU", "four per GPU")} == {"not run"}


def test_the_flops_of_a_step_are_those_that_torchvision_documents_for_its_network(bench):
    """Forward and two backward products for each clip that is learned from, one forward for each that is labelled.

    torchvision documents 40.697 billion multiply-adds for 16 frames of 112 x 112; they scale with the volume. The first
    layer needs no gradient of its input.
    """
    clip = R3D_18_Weights.KINETICS400_V1.meta["_ops"] * 1e9 * (8 * 16 * 16) / (16 * 112 * 112)
    first = 3 * 64 * (3 * 7 * 7) * (8 * 8 * 8)
    learned, labelled = 2 + 2, 2
    wanted = 2 * (learned * (3 * clip - first) + labelled * clip)
    labels = torch.zeros(2, dtype=torch.int64)
    clips = [torch.zeros(2, 3, 8, 16, 16) for _ in range(3)]
    loop = bench.steps.Loop(clips[0], labels, clips[1], clips[2], precision="fp32", tau=0.8)
    assert bench.steps.step_flops(loop.step) == pytest.approx(wanted, rel=0.002)


def test_the_vendors_figure_is_that_of_the_card_and_none_for_an_unknown_one(bench):
    assert bench.steps.vendor_tflops("NVIDIA H100 80GB HBM3", "bf16") == 989.0
    assert bench.steps.vendor_tflops("NVIDIA H100 PCIe", "bf16") == 756.0
    assert bench.steps.vendor_tflops("NVIDIA T4", "bf16") is None


def test_a_part_without_time_is_not_run_and_one_that_fails_leaves_the_others(bench):
    now = [0.0]
    deadline = bench.rows.Deadline(100.0, clock=lambda: now[0])

    def fail():
        raise ValueError("no such kernel")

    row = bench.rows.measured("step", "fp32", deadline, 60.0, fail)
    assert (row.state, row.figures, row.note) == ("failed", {}, "ValueError: no such kernel")
    now[0] = 50.0
    late = bench.rows.measured("step", "bf16", deadline, 60.0, fail)
    assert (late.state, late.note) == ("not run", "no time left (60 s are needed)")
    now[0] = 500.0
    assert deadline.left() == 0.0


def test_the_gpu_tests_are_not_started_without_time_for_them(bench):
    rows = list(bench.gpu_tests.rows_of_tests("cuda", bench.rows.Deadline(10.0)))
    assert {row.setting for row in rows} >= {"test_memory", "test_networks", "test_precisions", "test_shared_card"}
    assert {(row.state, row.note) for row in rows} == {("not run", "no time left (60 s are needed)")}


def test_a_failed_row_gives_status_one_and_is_written(bench, tmp_path, monkeypatch):
    row = bench.rows.Row(part="step", setting="fp32", state="failed", note="why")
    monkeypatch.setattr(bench.gpu, "rows", lambda *_: iter([row]))
    assert bench.gpu.main(["--json", str(tmp_path / "a.json")]) == 1
    assert json.loads((tmp_path / "a.json").read_text())["rows"][0]["note"] == "why"


@pytest.mark.parametrize(
    ("state", "figures", "note"), [("measured", {}, ""), ("not run", {}, ""), ("failed", {"step_ms": 1.0}, "why")]
)
def test_a_row_has_figures_exactly_when_it_was_measured(bench, state, figures, note):
    with pytest.raises(ValueError, match="step, fp32"):
        bench.rows.Row(part="step", setting="fp32", state=state, figures=figures, note=note)


def test_results_of_the_gpu_tests_are_counted_by_file(bench, tmp_path):
    report = tmp_path / "junit.xml"
    report.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.gpu.test_a" name="one" time="1.5"/>'
        '<testcase classname="tests.gpu.test_a" name="two" time="0.5"><skipped/></testcase>'
        '<testcase classname="tests.gpu.test_b" name="three" time="2"><failure/></testcase>'
        '<testcase classname="tests.gpu.test_c" name="four" time="0"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    found = bench.gpu_tests.read_report(report)
    assert found["test_a"] == {"passed": 1, "failed": 0, "skipped": 1, "seconds": 2.0}
    rows = {
        file: bench.gpu_tests.row(file, found.get(file), "ended after 9 s")
        for file in ("test_a", "test_b", "test_c", "test_d")
    }
    assert {file: row.state for file, row in rows.items()} == {
        "test_a": "measured", "test_b": "failed", "test_c": "not run", "test_d": "failed",
    }  # fmt: skip
    assert rows["test_d"].note == "ended after 9 s"


def test_a_command_that_takes_too_long_is_ended_and_one_that_fails_gives_its_last_line(bench):
    with pytest.raises(RuntimeError, match="ended after 0 s"):
        bench.seeds.finish([sys.executable, "-c", "import time; time.sleep(60)"], {}, 0.3)
    with pytest.raises(RuntimeError, match="status 4: the reason"):
        bench.seeds.finish([sys.executable, "-c", "print('the reason'); raise SystemExit(4)"], {}, 30)


def test_a_card_has_a_file_of_its_own(bench):
    assert bench.gpu.file_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3.json"
