"""Local weights load, and incompatible ones are refused by name."""

import pickle

import pytest
import torch
import torchvision.models.video as published
from safetensors.torch import save_file

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.build import build_model
from agrm_study.training.models.weights import load_weights

SMALL = Model(width=8, depth=10)
AVERAGE = Pooling(name="average")


def build(model=SMALL, n_outputs=3, seed=0):
    return build_model(model, n_outputs=n_outputs, frames=8, size=48, seed=seed)


def equal(network, state, keys):
    return all(torch.equal(network.state_dict()[key], state[key]) for key in keys)


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory):
    """A file in the form of torchvision's Kinetics-400 weights."""
    path = tmp_path_factory.mktemp("weights") / "mc3_18.pth"
    state = published.mc3_18(weights=None, num_classes=400).state_dict()
    torch.save(state, path)
    return path, state


def test_a_torchvision_file_loads_and_its_400_class_head_is_dropped_with_a_message(kinetics):
    path, state = kinetics
    network = build(Model(backbone="mc3_18", pooling=AVERAGE))
    before = network.fc.weight.clone()
    messages = load_weights(network, path)
    assert equal(network, state, [key for key in state if not key.startswith("fc.")])
    assert torch.equal(network.fc.weight, before)
    assert messages == [
        "fc.bias: (400,) in the file, (3,) in the network; ignored, the head keeps its initial values",
        "fc.weight: (400, 512) in the file, (3, 512) in the network; ignored, the head keeps its initial values",
    ]


def test_a_head_of_the_same_class_count_loads(kinetics):
    path, state = kinetics
    network = build(Model(backbone="mc3_18", pooling=AVERAGE), n_outputs=400)
    assert load_weights(network, path) == []
    assert equal(network, state, state)


def test_a_head_behind_another_pooling_is_dropped(kinetics):
    path, state = kinetics
    network = build(Model(backbone="mc3_18"), n_outputs=400)
    messages = load_weights(network, path)
    assert equal(network, state, ["layer4.1.conv2.0.weight", "fc.bias"])
    assert messages == [
        "fc.weight: (400, 512) in the file, (400, 10752) in the network; ignored, the head keeps its initial values"
    ]


def test_a_trained_network_loads_into_torchvision(tmp_path):
    network = build(Model(backbone="mc3_18", pooling=AVERAGE))
    published.mc3_18(weights=None, num_classes=3).load_state_dict(network.state_dict())


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_wrapped_checkpoints_are_unwrapped(tmp_path, wrap, prefix):
    source, network = build(seed=1), build(seed=2)
    torch.save(wrap({prefix + key: value for key, value in source.state_dict().items()}), tmp_path / "w.pt")
    assert load_weights(network, tmp_path / "w.pt") == []
    assert equal(network, source.state_dict(), source.state_dict())


def test_safetensors_load(tmp_path):
    source, network = build(seed=1), build(seed=2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    assert load_weights(network, tmp_path / "w.safetensors") == []
    assert equal(network, source.state_dict(), source.state_dict())


def test_published_names_of_the_last_layer_are_known(tmp_path):
    model = Model(backbone="uniformer_s", width=8, pooling=AVERAGE)
    source, network = build(model, seed=1), build(model, seed=2)
    state = {key.replace("fc.", "head.") if key.startswith("fc.") else key: v for key, v in source.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    assert load_weights(network, tmp_path / "w.safetensors") == []
    assert torch.equal(network.fc.weight, source.fc.weight)


def test_a_c3d_file_of_another_clip_size_keeps_its_convolutions_and_second_hidden_layer(tmp_path):
    flat = Model(backbone="c3d", width=4, head="flatten", pooling=AVERAGE)
    source = build_model(flat, n_outputs=3, frames=8, size=96, seed=1)
    network = build_model(flat, n_outputs=3, frames=8, size=48, seed=2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    messages = load_weights(network, tmp_path / "w.safetensors")
    assert [message.split(":")[0] for message in messages] == ["fc6.weight"]
    assert equal(network, source.state_dict(), ["conv5b.weight", "fc7.weight", "fc.weight"])


def test_the_cosine_head_takes_the_weight_and_drops_the_bias(tmp_path):
    source, network = build(), build(Model(width=8, depth=10, classifier="arcface"), seed=2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    assert load_weights(network, tmp_path / "w.safetensors") == ["fc.bias: not part of this head; ignored"]
    assert torch.equal(network.fc.weight, source.fc.weight)


def test_a_headless_file_leaves_the_head_and_says_so(tmp_path):
    source, network = build(seed=1), build(seed=2)
    state = {key: v for key, v in source.state_dict().items() if not key.startswith("fc.") and "num_b" not in key}
    save_file(state, tmp_path / "w.safetensors")
    assert load_weights(network, tmp_path / "w.safetensors") == [
        "fc.bias: not in the file; keeps its initial values",
        "fc.weight: not in the file; keeps its initial values",
        "num_batches_tracked: not in the file; the batch counters start at 0",
    ]


def broken(state, kind):
    state = dict(state)
    if kind == "missing":
        del state["layer2.0.conv1.0.weight"]
    elif kind == "unexpected":
        state["layer9.weight"] = torch.zeros(1)
    else:
        state["layer2.0.conv1.0.weight"] = torch.zeros(1, 2, 3, 3, 3)
    return state


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("missing", r"Missing: layer2\.0\.conv1\.0\.weight\."),
        ("unexpected", r"Unexpected: layer9\.weight\."),
        ("shape", r"Differing: layer2\.0\.conv1\.0\.weight \(1, 2, 3, 3, 3\), expected \(16, 8, 3, 3, 3\)\."),
    ],
)
def test_a_wrong_backbone_is_refused_by_key_and_nothing_is_changed(tmp_path, kind, pattern):
    network = build(seed=2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    save_file(broken(build(seed=1).state_dict(), kind), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=pattern):
        load_weights(network, tmp_path / "w.safetensors")
    assert equal(network, before, before)


def test_many_wrong_keys_are_counted_not_listed(kinetics):
    with pytest.raises(InputError, match=r"Missing: .* and \d+ more\."):
        load_weights(build(Model(backbone="uniformer_s", width=8)), kinetics[0])


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_files_that_are_no_weights_are_refused(tmp_path, capsys):
    network = build()
    with pytest.raises(InputError, match="must be an existing file"):
        load_weights(network, tmp_path / "absent.pth")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(InputError, match="without executing code"):
        load_weights(network, tmp_path / "evil.pth")
    torch.save({"state_dict": Evil()}, tmp_path / "evil2.pth")
    with pytest.raises(InputError, match="without executing code"):
        load_weights(network, tmp_path / "evil2.pth")
    assert capsys.readouterr().out == ""
    for name in ("noise.safetensors", "noise.pth", "empty.pth", "empty.safetensors"):
        (tmp_path / name).write_bytes(b"" if "empty" in name else b"\x80\x02not a model" * 9)
        with pytest.raises(InputError, match=r"model\.weights"):
            load_weights(network, tmp_path / name)
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(InputError, match="must contain a state dict"):
        load_weights(network, tmp_path / "list.pth")
