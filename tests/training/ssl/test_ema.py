import copy

import pytest
import torch
from torch import nn

from agrm_study.study.ssl_settings import Ema
from agrm_study.training.ssl.ema import EmaTeacher


def small_network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv3d(2, 3, 3, padding=1), nn.BatchNorm3d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(24, 3)
        )
        network[1].register_buffer("mask", torch.ones(3, dtype=torch.int64))
        return network


def random_clips(seed: int, n: int = 4) -> torch.Tensor:
    return torch.randn(n, 2, 2, 2, 2, generator=torch.Generator().manual_seed(seed))


def train_step(network: nn.Module, seed: int) -> None:
    """A forward pass in train mode (moves the buffers) and a change of every weight, in place, as an optimizer does."""
    network.train()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network(random_clips(seed))
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)


def test_the_teacher_starts_as_a_copy_that_shares_no_memory_has_no_gradient_and_stands_in_eval_mode() -> None:
    student = small_network()
    student(random_clips(0)).sum().backward()
    teacher = EmaTeacher(student, Ema())
    assert teacher.step == 0
    for (name, mine), theirs in zip(teacher.module.state_dict().items(), student.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
        assert mine.data_ptr() != theirs.data_ptr(), name
    assert all(not p.requires_grad and p.grad is None for p in teacher.module.parameters())
    assert all(p.requires_grad and p.grad is not None for p in student.parameters())
    assert not any(m.training for m in teacher.module.modules())
    assert all(m.training for m in student.modules())


@pytest.mark.parametrize("warmup", [False, True])
@pytest.mark.parametrize("buffers", ["average", "copy", "own"])
def test_updates_equal_a_plain_loop_over_the_tensors(buffers: str, warmup: bool) -> None:
    student = small_network()
    teacher = EmaTeacher(student, Ema(alpha=0.9, buffers=buffers, warmup=warmup))
    expected = {name: value.double() for name, value in copy.deepcopy(student.state_dict()).items()}
    weights = {name for name, _ in student.named_parameters()}
    for step in range(5):
        train_step(student, seed=step)
        teacher.update()
        alpha = min(0.9, (step + 1) / (step + 10)) if warmup else 0.9
        for name, theirs in student.state_dict().items():
            if name in weights or (buffers == "average" and theirs.is_floating_point()):
                expected[name] = alpha * expected[name] + (1 - alpha) * theirs.double()
            elif buffers != "own":
                expected[name] = theirs.double()
    for name, value in teacher.module.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)
    counted = teacher.module.state_dict()["1.num_batches_tracked"].item()
    assert counted == (0 if buffers == "own" else 5)


def test_towards_a_constant_student_the_distance_shrinks_by_alpha_a_step() -> None:
    student = small_network()
    teacher = EmaTeacher(student, Ema(alpha=0.99))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    start = [p.clone() for p in teacher.module.parameters()]
    for _ in range(50):
        teacher.update()
    for mine, theirs, first in zip(teacher.module.parameters(), student.parameters(), start, strict=True):
        torch.testing.assert_close(mine, theirs + 0.99**50 * (first - theirs), rtol=1e-5, atol=1e-6)


def test_an_alpha_of_zero_makes_the_teacher_the_student_bit_for_bit() -> None:
    student = small_network()
    teacher = EmaTeacher(student, Ema(alpha=0.0))
    train_step(student, seed=1)
    teacher.update()
    for mine, theirs in zip(teacher.module.state_dict().values(), student.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_warm_up_follows_its_formula_until_alpha_is_reached() -> None:
    teacher = EmaTeacher(small_network(), Ema(alpha=0.5, warmup=True))
    alphas = []
    for _ in range(10):
        alphas.append(teacher.alpha)
        teacher.update()
    assert alphas == pytest.approx([1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5])


def test_an_update_leaves_the_student_as_it_is() -> None:
    student = small_network()
    teacher = EmaTeacher(student, Ema(alpha=0.5))
    train_step(student, seed=3)
    before = copy.deepcopy(student.state_dict())
    teacher.update()
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_labelling_has_no_gradient_no_dropout_and_with_shared_buffers_changes_nothing() -> None:
    teacher = EmaTeacher(small_network(), Ema())
    before = copy.deepcopy(teacher.module.state_dict())
    first, second = teacher(random_clips(5)), teacher(random_clips(5))
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert all(torch.equal(before[name], value) for name, value in teacher.module.state_dict().items())


def test_own_buffers_come_from_the_teachers_own_passes_and_evaluation_leaves_them_alone() -> None:
    student = small_network()
    teacher = EmaTeacher(student, Ema(buffers="own"))
    train_step(student, seed=0)
    teacher.update()
    convolution, norm = teacher.module[0], teacher.module[1]
    clips = random_clips(7)
    activations = convolution(clips)
    outputs = teacher(clips)
    mean = activations.mean(dim=(0, 2, 3, 4))
    variance = activations.transpose(0, 1).flatten(1).var(dim=1, correction=1)
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * variance)
    assert norm.num_batches_tracked.item() == 1
    assert torch.equal(outputs, teacher(clips))  # normalised by the batch; dropout is off
    assert not any(m.training for m in teacher.module.modules())
    kept = norm.running_mean.clone()
    teacher.module(clips)
    assert torch.equal(norm.running_mean, kept)


def test_own_buffers_return_to_eval_mode_even_when_the_pass_fails() -> None:
    teacher = EmaTeacher(small_network(), Ema(buffers="own"))
    with pytest.raises(RuntimeError):
        teacher(torch.zeros(1, 5, 2, 2, 2))
    assert not any(m.training for m in teacher.module.modules())


def test_a_restored_teacher_goes_on_bit_for_bit(tmp_path) -> None:
    ema = Ema(alpha=0.9, warmup=True)
    student = small_network()
    teacher = EmaTeacher(student, ema)
    for step in range(3):
        train_step(student, seed=step)
        teacher.update()
    torch.save({"teacher": teacher.state_dict(), "student": student.state_dict()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)

    other_student = small_network(seed=1)
    other = EmaTeacher(other_student, ema)
    other_student.load_state_dict(state["student"])
    other.load_state_dict(state["teacher"])
    assert other.step == 3
    for step in range(3, 6):
        for network, follower in ((student, teacher), (other_student, other)):
            train_step(network, seed=step)
            follower.update()
    for mine, theirs in zip(teacher.module.state_dict().values(), other.module.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_tied_weights_stay_tied_and_are_averaged_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 2, bias=False)
            self.two = nn.Linear(2, 2, bias=False)
            self.two.weight = self.one.weight

    student = Tied()
    teacher = EmaTeacher(student, Ema(alpha=0.5))
    start = student.one.weight.detach().clone()
    with torch.no_grad():
        student.one.weight.add_(1.0)
    teacher.update()
    assert teacher.module.one.weight is teacher.module.two.weight
    torch.testing.assert_close(teacher.module.one.weight, start + 0.5, check_device=False)


def test_the_teacher_draws_no_random_number() -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    network = small_network()
    teacher = EmaTeacher(network, Ema())
    teacher.update()
    teacher(random_clips(0))
    assert torch.equal(torch.get_rng_state(), state)
