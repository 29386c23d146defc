import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import log_loss

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Loss, Model, Recipe
from agrm_study.study.tasks import BUILT_IN
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss

THREE = BUILT_IN["three_class"].classes
BY_KNEE_ANGLE = (1, 0, 2)
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(16, 3), scale=2.0)
LABELS = RNG.integers(0, 3, size=16)


def value(settings: Loss, outputs: np.ndarray, labels: np.ndarray, counts: tuple[int, ...] = (10, 10, 10)) -> float:
    loss = build_loss(settings, THREE[: len(counts)], counts, order=BY_KNEE_ANGLE)
    return loss(torch.tensor(outputs), torch.tensor(labels)).item()


def test_cross_entropy_is_sklearns_log_loss() -> None:
    expected = log_loss(LABELS, softmax(LOGITS, axis=1), labels=[0, 1, 2])
    assert value(Loss(), LOGITS, LABELS) == pytest.approx(expected, rel=1e-12)


def test_label_smoothing_spreads_epsilon_over_all_classes() -> None:
    targets = 0.9 * np.eye(3)[LABELS] + 0.1 / 3
    expected = np.mean(-(targets * log_softmax(LOGITS, axis=1)).sum(axis=1))
    assert value(Loss(label_smoothing=0.1), LOGITS, LABELS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_is_the_published_formula(gamma: float) -> None:
    p = softmax(LOGITS, axis=1)[np.arange(16), LABELS]
    expected = np.mean(-((1 - p) ** gamma) * np.log(p))
    assert value(Loss(name="focal", focal_gamma=gamma), LOGITS, LABELS) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_gradient_of_focal_stays_finite_for_a_clip_that_is_certain(gamma: float) -> None:
    outputs = torch.tensor([[200.0, 0.0, 0.0], [-200.0, 0.0, 0.0]], requires_grad=True)
    build_loss(Loss(name="focal", focal_gamma=gamma), THREE, (1, 1, 1))(outputs, torch.tensor([0, 0])).backward()
    assert torch.isfinite(outputs.grad).all()


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_class_balanced_weighs_by_the_effective_number(beta: float) -> None:
    counts = np.array([100, 10, 3])
    effective = (1 - beta**counts) / (1 - beta) if beta else np.ones(3)
    weights = (1 / effective) * 3 / np.sum(1 / effective)
    expected = np.mean(-weights[LABELS] * log_softmax(LOGITS, axis=1)[np.arange(16), LABELS])
    settings = Loss(name="class_balanced", class_balanced_beta=beta)
    assert value(settings, LOGITS, LABELS, (100, 10, 3)) == pytest.approx(expected, rel=1e-10)


def test_class_balanced_with_equal_counts_is_the_cross_entropy() -> None:
    assert value(Loss(name="class_balanced"), LOGITS, LABELS) == pytest.approx(value(Loss(), LOGITS, LABELS), rel=1e-12)


def test_class_balanced_refuses_a_class_without_clips() -> None:
    with pytest.raises(InputError, match="none for genu_varum"):
        build_loss(Loss(name="class_balanced"), THREE, (5, 0, 5))


def corn_by_hand(outputs: np.ndarray, ranks: np.ndarray) -> float:
    """Shi, Cao & Raschka 2021, equation 6, clip by clip and task by task."""
    total, members = 0.0, 0
    for z, rank in zip(outputs, ranks, strict=True):
        for task in range(outputs.shape[1]):
            if rank >= task:
                members += 1
                total -= math.log(expit(z[task])) if rank > task else math.log(1 - expit(z[task]))
    return total / members


def test_corn_is_the_published_formula_over_varum_normal_valgum() -> None:
    ranks = np.array([1, 0, 2])[LABELS]  # classes are normal, genu_varum, genu_valgum
    outputs = LOGITS[:, :2]
    assert value(Loss(name="corn"), outputs, LABELS) == pytest.approx(corn_by_hand(outputs, ranks), rel=1e-10)


def corn(classes: Sequence[str], order: Sequence[int] | None) -> SupervisedLoss:
    return build_loss(Loss(name="corn"), classes, (1,) * len(classes), order=order)


def test_corn_gives_the_value_that_its_authors_document() -> None:
    """The example of `corn_loss` in the documentation of their library coral-pytorch."""
    with torch.random.fork_rng():
        torch.manual_seed(123)
        inputs, labels = torch.rand(8, 99), torch.tensor([0, 1, 2, 2, 2, 3, 4, 4])
        outputs = torch.nn.Linear(99, 4)(inputs)
    assert corn("abcde", order=range(5))(outputs, labels).item() == pytest.approx(0.7127, abs=5e-5)


def test_corn_probabilities_follow_the_chain_rule_in_the_order_of_the_classes() -> None:
    loss = corn(THREE, order=BY_KNEE_ANGLE)
    outputs = LOGITS[:, :2]
    above_varum, above_normal = expit(outputs[:, 0]), expit(outputs[:, 0]) * expit(outputs[:, 1])
    by_class = np.stack([above_varum - above_normal, 1 - above_varum, above_normal], axis=1)
    np.testing.assert_allclose(loss.log_probs(torch.tensor(outputs)).exp().numpy(), by_class, atol=1e-12)
    # A knee far on the valgum side, and one far on the varum side.
    far = torch.tensor([[9.0, 9.0], [-9.0, 9.0], [9.0, -9.0]])
    assert [THREE[k] for k in loss.log_probs(far).argmax(dim=1).tolist()] == ["genu_valgum", "genu_varum", "normal"]


def test_corn_ranks_the_classes_of_the_papers_task_by_knee_angle() -> None:
    assert BUILT_IN["three_class"].order == BY_KNEE_ANGLE


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (1, 2, 3)])
def test_corn_refuses_an_order_that_is_no_permutation_of_the_classes(order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="each class index once"):
        corn(THREE, order=order)


def test_corn_without_an_order_names_the_remedy() -> None:
    with pytest.raises(InputError, match=r"requires ordered classes.*ordered: true"):
        corn(THREE, order=None)


def test_corn_with_two_classes_is_logistic_regression() -> None:
    labels = (LABELS > 0).astype(int)
    loss = corn(BUILT_IN["two_class"].classes, order=(0, 1))
    outputs = LOGITS[:, :1]
    expected = log_loss(labels, expit(outputs[:, 0]))
    assert loss(torch.tensor(outputs), torch.tensor(labels)).item() == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(loss.log_probs(torch.tensor(outputs)).exp()[:, 1].numpy(), expit(outputs[:, 0]))
    assert loss.n_outputs(2) == 1


def test_corn_is_trained_to_the_frequencies_of_the_labels() -> None:
    """Without inputs, the best outputs give each class its share: the loss and the probabilities belong together."""
    labels = torch.tensor([0] * 5 + [1] * 2 + [2] * 3)
    loss = corn(THREE, order=(0, 1, 2))
    outputs = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], max_iter=100, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        current = loss(outputs.expand(10, 2), labels)
        current.backward()
        return current

    optimizer.step(closure)
    assert loss.log_probs(outputs).exp()[0].tolist() == pytest.approx([0.5, 0.2, 0.3], abs=1e-6)


def arcface_by_hand(cosines: np.ndarray, labels: np.ndarray, scale: float, margin: float) -> float:
    logits = scale * cosines.copy()
    for row, label in enumerate(labels):
        angle = math.acos(cosines[row, label])
        if angle + margin <= math.pi:
            logits[row, label] = scale * math.cos(angle + margin)
        else:
            logits[row, label] = scale * (cosines[row, label] - margin * math.sin(margin))
    return float(np.mean(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels]))


@pytest.mark.parametrize(("scale", "margin"), [(30.0, 0.5), (64.0, 0.3), (1.0, 0.0)])
def test_arcface_enlarges_the_angle_of_the_true_class(scale: float, margin: float) -> None:
    cosines = np.tanh(LOGITS)
    assert (np.arccos(cosines[np.arange(16), LABELS]) + 0.3 > math.pi).any()  # both branches are visited
    settings = Loss(name="arcface", arcface_scale=scale, arcface_margin=margin)
    assert value(settings, cosines, LABELS) == pytest.approx(arcface_by_hand(cosines, LABELS, scale, margin), rel=1e-9)


def test_arcface_probabilities_have_the_scale_but_no_margin() -> None:
    cosines = np.tanh(LOGITS)
    loss = build_loss(Loss(name="arcface", arcface_scale=4.0), THREE, (1, 1, 1))
    np.testing.assert_allclose(loss.log_probs(torch.tensor(cosines)).numpy(), log_softmax(4.0 * cosines, axis=1))


@pytest.mark.parametrize("end", [1.0, 1.0000001])
def test_the_gradient_of_arcface_is_finite_at_the_ends_and_still_pulls_a_clip_that_points_away(end: float) -> None:
    cosines = torch.tensor([[end, -end, 0.0], [-end, end, 0.0]], requires_grad=True)
    loss = build_loss(Loss(name="arcface"), THREE, (1, 1, 1))(cosines, torch.tensor([0, 0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(cosines.grad).all()
    assert cosines.grad[1, 0] < -1
    assert cosines.grad[1, 1] > 1


@pytest.mark.parametrize("name", ["focal", "corn"])
def test_label_smoothing_is_refused_where_it_has_no_place(name: str) -> None:
    with pytest.raises(InputError, match=r"loss\.label_smoothing.*must be 0.*given 0\.1"):
        build_loss(Loss(name=name, label_smoothing=0.1), THREE, (1, 1, 1), order=BY_KNEE_ANGLE)


def test_the_arcface_loss_and_classifier_come_together() -> None:
    Recipe(loss=Loss(name="arcface"), model=Model(classifier="arcface"))
    for mixed in ({"loss": Loss(name="arcface")}, {"model": Model(classifier="arcface")}):
        with pytest.raises(ValueError, match="must both be `arcface` or neither"):
            Recipe(**mixed)


def test_a_loss_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"loss\.name.*'focl'.*cross_entropy.*Did you mean `focal`"):
        build_loss(Loss(name="focl"), THREE, (1, 1, 1))
