"""Frozen layers do not change, and layer-wise learning rates follow the published rule."""

import copy

import pytest
import torch
from pydantic import ValidationError

from agrm_study.api.names import read_study
from agrm_study.plan.notes import study_notes
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Model, Optimizer
from agrm_study.study.ssl_settings import Ema
from agrm_study.training.loop import Training
from agrm_study.training.models.build import build_model
from agrm_study.training.models.layers import layers_of, parameter_groups
from agrm_study.training.schedule import build_optimizer, build_plateau
from agrm_study.training.ssl.ema import EmaTeacher

SMALL = {"n_outputs": 3, "frames": 4, "size": 32, "seed": 0}


def network_of(backbone="r3d_18", freeze=(), **settings):
    return build_model(Model(backbone=backbone, width=8, depth=10, freeze=freeze, **settings), **SMALL)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("backbone", ("backbone",)),
        (["layer1", "stem", "stem"], ("layer1", "stem")),
        (["stem", "backbone"], ("backbone",)),
        ([], ()),
    ],
)
def test_equal_sets_of_layers_are_equal_settings(given, kept):
    assert Model(freeze=given).freeze == kept


@pytest.mark.parametrize("given", [["layer 1"], [""], [1], "stem/0"])
def test_what_is_no_name_of_a_layer_is_refused(given):
    with pytest.raises(ValidationError):
        Model(freeze=given)


@pytest.mark.parametrize(
    ("backbone", "freeze", "frozen"),
    [
        ("r3d_18", ["stem", "layer1"], ("stem.", "layer1.")),
        ("r3d_18", ["layer1.0.conv2"], ("layer1.0.conv2.",)),
        ("r3d_18", "backbone", ("stem.", "layer")),
        ("mvit_v2_s", ["conv_proj", "blocks.1"], ("conv_proj.", "blocks.1.")),
    ],
)
def test_exactly_the_named_layers_are_frozen_and_stay_in_evaluation_mode(backbone, freeze, frozen):
    network = network_of(backbone, freeze).train()
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name
    for name, module in network.named_modules():
        if name and not list(module.children()):
            assert module.training != f"{name}.".startswith(frozen), name
    assert not any(module.training for module in network.eval().modules())


def test_a_layer_that_the_backbone_lacks_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match=r"no layer with that name.*layer9.*allowed: backbone, stem, layer1.*layer4"):
        network_of(freeze=["layer9"])
    with pytest.raises(InputError, match=r"no layer with that name.*'?fc"):
        network_of(freeze=["fc"])


@pytest.mark.parametrize(
    ("arm", "pieces"),
    [
        ("{model.freeze: [stem, layer9]}", ["given 'layer9'", "allowed: backbone, stem, layer1", "Did you mean"]),
        ("{model.freeze: [layer1.5]}", ["given 'layer1.5'"]),
        ("{model.freeze: [stem], model.backbone: c3d}", ["given 'stem'", "conv1", "conv5b"]),
    ],
)
def test_a_study_that_freezes_a_layer_that_its_backbone_lacks_is_refused_with_file_and_line(tmp_path, arm, pieces):
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: frozen\ntasks: [two_class]\nseeds: 1\ndata: {synthetic: {subjects: 12, unlabelled: 12}}\n"
        f"arms:\n  - {{name: AGRM, set: {{model.freeze: [layer1.0, stem]}}}}\n  - {{name: typo, set: {arm}}}\n"
    )
    with pytest.raises(InputError) as caught:
        read_study(file, (), None)
    told = str(caught.value)
    assert told.startswith(f"{file}:7: `arm typo: model.freeze`: this backbone has no layer with that name")
    assert all(piece in told for piece in pieces), told


def test_a_choice_of_a_search_that_freezes_an_unknown_layer_is_refused(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: frozen\ntasks: [two_class]\nseeds: 1\ndata: {synthetic: {subjects: 12, unlabelled: 12}}\n"
        "search:\n  trials: 2\n  space:\n    model.freeze: {choice: [[], [stem], [layer0]]}\n"
    )
    with pytest.raises(InputError, match=r"study.yaml:8: `search.space: model.freeze`: this backbone has no layer"):
        read_study(file, (), None)


def searching(folder, space):
    file = folder / "study.yaml"
    file.write_text(
        "name: frozen\ntasks: [two_class]\nseeds: 1\ndata: {synthetic: {subjects: 12, unlabelled: 12}}\n"
        f"search:\n  trials: 2\n  space:\n{space}"
    )
    return read_study(file, (), None)


def test_a_search_that_draws_backbone_and_frozen_layers_names_the_combinations_that_are_impossible(tmp_path):
    space = "    model.backbone: {choice: [r3d_18, c3d]}\n    model.freeze: {choice: [[], [stem], [conv1], backbone]}\n"
    [note] = searching(tmp_path, space).impossible
    assert note.startswith(f"{tmp_path / 'study.yaml'}:9: 2 of 8 combinations of `model.backbone` and `model.freeze`")
    assert "model.backbone r3d_18 with model.freeze [conv1], model.backbone c3d with model.freeze [stem]." in note
    assert note in study_notes(searching(tmp_path, space))


def test_a_condition_on_the_backbone_leaves_nothing_impossible(tmp_path):
    space = (
        "    model.backbone: {choice: [r3d_18, c3d]}\n"
        "    model.freeze: {choice: [[], [conv1]], when: {model.backbone: c3d}}\n"
    )
    assert searching(tmp_path, space).impossible == ()


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            "    model.backbone: {choice: [r3d_18, c3d]}\n    model.freeze:\n      choice:\n        - []\n"
            "        - [conv1, layer1]\n",
            r"study.yaml:12: `search.space: model.freeze`: cannot be combined with any values of the other "
            r"settings: this backbone has no layer with that name; given \['conv1', 'layer1'\]",
        ),
        (
            "    model.backbone:\n      choice:\n        - r3d_18\n        - s3d\n"
            "    model.freeze: {choice: [[stem], [layer1]]}\n",
            r"study.yaml:11: `search.space: model.backbone`: cannot be combined with any values .*given 's3d'",
        ),
        (
            "    model.depth: {choice: [10, 18]}\n    model.freeze: {choice: [[], [layer1.7]]}\n",
            r"study.yaml:9: `search.space: model.freeze`: cannot be combined with any values",
        ),
    ],
)
def test_a_value_that_no_combination_allows_is_refused_at_its_line(tmp_path, space, said):
    with pytest.raises(InputError, match=said):
        searching(tmp_path, space)


def test_arms_that_tune_backbone_and_frozen_layers_are_told_the_impossible_combinations(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: frozen\ntasks: [two_class]\nseeds: 1\ndata: {synthetic: {subjects: 12, unlabelled: 12}}\n"
        "arms: [{name: A}, {name: B, set: {model.depth: 10}}]\ntune:\n  trials: 2\n  space:\n"
        "    model.backbone: {choice: [r3d_18, c3d]}\n    model.freeze: {choice: [[], [layer1.1]]}\n"
    )
    with pytest.raises(InputError, match=r"tuning of B: model.freeze`: cannot be combined .*\['layer1.1'\]"):
        read_study(file, (), None)
    file.write_text(file.read_text().replace("layer1.1", "layer1.0"))
    notes = read_study(file, (), None).impossible
    assert len(notes) == 1
    assert "model.backbone c3d with model.freeze [layer1.0]" in notes[0]


@pytest.mark.parametrize("buffers", ["average", "copy", "own"])
def test_a_training_leaves_frozen_layers_of_student_and_teacher_bit_for_bit(tiny_data, tiny_recipe, buffers):
    recipe = tiny_recipe(
        ssl__pretrain_epochs=1, ssl__ema__buffers=buffers, model__freeze=["stem", "layer1"], optimizer__name="adamw",
        optimizer__weight_decay=0.1, epochs=2,
    )  # fmt: skip
    training = Training(recipe, **tiny_data.arguments)
    networks = training._networks
    before = copy.deepcopy(networks.student.state_dict())
    training.run_epoch()
    training.run_epoch()
    changed = {"student": networks.student.state_dict(), "teacher": networks.teacher.module.state_dict()}
    for which, state in changed.items():
        for key, value in state.items():
            if key.startswith(("stem.", "layer1.")):
                assert torch.equal(value, before[key]), (which, key)
        assert not torch.equal(state["layer2.0.conv1.0.weight"], before["layer2.0.conv1.0.weight"]), which
    held = {id(p) for group in training._optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for name, p in networks.student.named_parameters() if not name.startswith(("stem", "layer1"))}


def test_a_teacher_with_statistics_of_its_own_keeps_those_of_frozen_layers():
    student = network_of(freeze=["stem"])
    teacher = EmaTeacher(student, Ema(buffers="own"))
    before = copy.deepcopy(teacher.module.state_dict())
    teacher(torch.randn(4, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0)))
    after = teacher.module.state_dict()
    assert torch.equal(after["stem.1.running_mean"], before["stem.1.running_mean"])
    assert not torch.equal(after["layer1.0.conv1.1.running_mean"], before["layer1.0.conv1.1.running_mean"])


def test_learning_rates_fall_by_one_factor_per_layer_below_the_head():
    network = network_of()
    settings = Optimizer(lr=0.1, layer_decay=0.5)
    optimizer = build_optimizer(settings, parameter_groups(network, lr=settings.lr, layer_decay=settings.layer_decay))
    rate_of = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    rates = {name.split(".")[0]: rate_of[id(p)] for name, p in network.named_parameters()}
    assert rates == {"fc": 0.1, "layer4": 0.05, "layer3": 0.025, "layer2": 0.0125, "layer1": 0.00625, "stem": 0.003125}
    assert optimizer.param_groups[0]["lr"] == 0.1  # what the epochs record
    plateau = build_plateau(Optimizer(plateau_patience=1), optimizer)
    plateau.step(1.0)
    plateau.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05 * 0.5**n for n in range(6)]


@pytest.mark.parametrize(
    ("backbone", "count"),
    [
        ("r3d_18", 6),  # stem, four blocks at depth 10, head
        ("mvit_v2_s", 19),  # patches, class token, 16 blocks, head with the last norm
        ("swin3d_t", 17),  # patches, 2 + 2 + 6 + 2 blocks, 3 mergings, head with the last norm
        ("s3d", 13),  # 3 convolutions, 9 Inception blocks, head
    ],
)
def test_every_parameter_is_in_one_layer(backbone, count):
    network = network_of(backbone)
    layers = layers_of(network)
    assert len(layers) == count
    held = [id(p) for layer in layers for module in layer for p in module.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())


def test_without_decay_there_is_one_group_of_all_trainable_parameters():
    network = network_of(freeze="backbone")
    assert parameter_groups(network, lr=0.1, layer_decay=1.0) == list(network.fc.parameters())
