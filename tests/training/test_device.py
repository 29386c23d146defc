"""Devices: validation, restoring of settings, and exhausted memory."""

from __future__ import annotations

import contextlib
import errno

import pytest
import torch

from agrm_study.study.errors import InputError
from agrm_study.training.bf16 import PaddedFrames, gradients_are_right
from agrm_study.training.device import Device, _tf32
from agrm_study.training.failures import DeviceMemoryError
from agrm_study.training.loop import Training


def test_fp16_without_a_gpu_is_refused(tiny_recipe):
    with pytest.raises(InputError, match="`precision`: fp16 requires a GPU; given 'fp16'"):
        Device("cpu", tiny_recipe(precision="fp16"))


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bf16_runs_on_processors_that_have_it_and_is_refused_on_others(tiny_recipe, monkeypatch, flag):
    monkeypatch.setattr("agrm_study.training.bf16.gradients_are_right", lambda *, padded: True)
    monkeypatch.setattr("agrm_study.training.bf16.cpu_flags", lambda: frozenset({"fpu", "avx2"}))
    with pytest.raises(InputError, match="`precision`: this CPU has no native bfloat16 support; given 'bf16'"):
        Device("cpu", tiny_recipe(precision="bf16"))
    monkeypatch.setattr("agrm_study.training.bf16.cpu_flags", lambda: frozenset({"fpu", flag}))
    with Device("cpu", tiny_recipe(precision="bf16")).autocast():
        assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2)).dtype is torch.bfloat16


def test_bf16_is_refused_where_its_gradients_are_wrong(tiny_recipe, monkeypatch):
    """What torch does here is compared with fp32; another result of the comparison is simulated."""
    monkeypatch.setattr("agrm_study.training.bf16.cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr("agrm_study.training.bf16.gradients_are_right", lambda *, padded: False)
    with pytest.raises(InputError, match="incorrect bfloat16 gradients on this CPU"):
        Device("cpu", tiny_recipe(precision="bf16"))


def test_wrong_gradients_are_found(monkeypatch):
    right = torch.nn.grad.conv3d_weight
    gradients_are_right.cache_clear()
    monkeypatch.setattr("agrm_study.training.bf16.conv3d_weight", lambda *given, **named: 1.2 * right(*given, **named))
    assert not gradients_are_right(padded=False)
    assert not gradients_are_right(padded=True)
    gradients_are_right.cache_clear()


@pytest.mark.parametrize(("precision", "wrong"), [("bf16", True), ("bf16", False), ("fp32", True)])
def test_frames_are_padded_apart_only_in_bf16_where_gradients_are_wrong_otherwise(
    tiny_recipe, monkeypatch, precision, wrong
):
    monkeypatch.setattr("agrm_study.training.bf16.cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr("agrm_study.training.bf16.gradients_are_right", lambda *, padded: padded or not wrong)
    seen = []
    monkeypatch.setattr("agrm_study.training.bf16._conv3d", lambda *given: seen.append(given) or torch.conv3d(*given))
    with Device("cpu", tiny_recipe(precision=precision)).autocast():
        torch.nn.Conv3d(2, 2, 3, padding=1)(torch.ones(1, 2, 2, 4, 4))
    assert bool(seen) == (precision == "bf16" and wrong)


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1, "bias": False},
        {"kernel_size": (3, 1, 1), "padding": (1, 0, 0), "stride": (2, 1, 1)},
        {"kernel_size": 5, "padding": 2, "groups": 2},
        {"kernel_size": 3, "padding": "same", "dilation": 2},
        {"kernel_size": (2, 3, 4), "padding": "same"},
        {"kernel_size": (1, 3, 3), "padding": "valid"},
        {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"},
    ],
)
def test_padding_frames_apart_changes_neither_outputs_nor_gradients(frames, settings):
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(4, 6, **settings)
    clips = torch.randn(3, 4, frames, 7, 7)
    found = []
    for mode in (contextlib.nullcontext(), PaddedFrames()):
        convolution.zero_grad()
        with mode:
            outputs = convolution(clips)
        outputs.square().sum().backward()
        found.append((outputs, convolution.weight.grad.clone()))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-4)


def test_bf16_is_asked_of_a_gpu_without_emulation(tiny_recipe, monkeypatch):
    asked = []
    monkeypatch.setattr("agrm_study.training.device._usable", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **given: asked.append(given) is not None)
    with pytest.raises(InputError, match="this GPU has no native bfloat16 support"):
        Device("cuda", tiny_recipe(precision="bf16"))
    assert asked == [{"including_emulation": False}]


@pytest.mark.parametrize(
    ("where", "convolutions", "products"), [("convolutions", True, False), ("all", True, True), ("none", False, False)]
)
def test_tf32_is_where_the_recipe_allows_it_and_restored(where, convolutions, products):
    def now():
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = now()
    with _tf32(where):
        assert now() == (convolutions, products)
    assert now() == before == (True, False)  # torch's defaults, which `convolutions` states


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(tiny_recipe, name):
    with pytest.raises(InputError, match="`device`: "):
        Device(name, tiny_recipe())


def test_an_epoch_draws_from_its_own_stream_and_leaves_the_global_one_alone(tiny_recipe):
    device = Device("cpu", tiny_recipe())
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    drawn = []
    for epoch in (1, 2, 1):
        with device.session(epoch):
            drawn.append(torch.rand(1).item())
            assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(1), wanted)
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried …"),
    ],
)
def test_memory_that_runs_out_is_a_failure_of_its_own_with_a_hint(tiny_recipe, error):
    device = Device("cpu", tiny_recipe())
    message = r"6 labelled and 4 unlabelled clips of 4 x 24 x 24.*batch\.accumulate"
    with pytest.raises(DeviceMemoryError, match=message), device.session(1):
        raise error


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), DeviceMemoryError),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), DeviceMemoryError),
        (MemoryError(), MemoryError),  # the host's memory: a larger share of the GPU would not help
        (RuntimeError("CUDA error: device-side assert triggered"), RuntimeError),
    ],
)
def test_on_a_gpu_only_the_gpus_own_memory_is_that_failure(tiny_recipe, monkeypatch, error, raised):
    device = Device("cpu", tiny_recipe())
    monkeypatch.setattr(Device, "description", "GPU")
    monkeypatch.setattr(Device, "peak_bytes", 0)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: contextlib.nullcontext())
    device.is_cuda = True
    with pytest.raises(raised) as caught, device.session(1):
        raise error
    assert type(caught.value) is raised


@pytest.mark.slow
def test_compiled_networks_train_save_and_resume_under_the_same_names(tiny_data, tiny_recipe, tmp_path, monkeypatch):
    """With dynamo's eager backend, which needs no compiler: what is tested is the wiring."""
    compile_with = torch.nn.Module.compile
    compiled: list[torch.nn.Module] = []

    def compile_eagerly(module: torch.nn.Module) -> None:
        compiled.append(module)
        compile_with(module, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_eagerly)
    recipe = tiny_recipe(epochs=3, compile=True)
    whole = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path, identity="t")
    whole.run_epoch()
    whole.run_epoch()
    whole.save()
    assert len(compiled) == 2  # student and teacher
    plain = Training(tiny_recipe(epochs=3), **tiny_data.arguments, checkpoint_dir=tmp_path, identity="t")
    assert plain.epoch == 2
    assert whole.run_epoch().rows == plain.run_epoch().rows


def test_other_errors_pass_unchanged(tiny_recipe):
    with pytest.raises(RuntimeError, match="something else"), Device("cpu", tiny_recipe()).session(1):
        raise RuntimeError("something else")


def test_a_network_that_cannot_be_deterministic_is_an_error_of_the_recipe(tiny_recipe):
    error = RuntimeError("max_pool3d_with_indices_backward_cuda does not have a deterministic implementation, but …")
    with (
        pytest.raises(InputError, match="`deterministic`: this network has no deterministic backward pass on cpu"),
        Device("cpu", tiny_recipe(deterministic=True)).session(1),
    ):
        raise error
