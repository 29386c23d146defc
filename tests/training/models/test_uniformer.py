"""The UniFormer matches the paper."""

import pytest
import torch
import torch.nn.functional as F

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones.relation_blocks import Attention, GlobalBlock, LocalBlock
from agrm_study.training.models.backbones.uniformer import PatchEmbedding, UniFormer
from agrm_study.training.models.build import build_model


def test_stages_have_the_published_shapes():
    with torch.device("meta"):
        backbone = UniFormer(64).eval()
        volume = torch.empty(1, 3, 16, 224, 224)
    shapes = []
    for name, stage in backbone.named_children():
        volume = stage(volume)
        if name.startswith("blocks"):
            shapes.append(tuple(volume.shape[1:]))
    assert shapes == [(64, 8, 56, 56), (128, 8, 28, 28), (320, 8, 14, 14), (512, 8, 7, 7)]


def test_blocks_heads_and_drop_path_are_the_published_ones():
    blocks = [module for module in UniFormer(64).modules() if isinstance(module, LocalBlock | GlobalBlock)]
    assert [type(block).__name__ for block in blocks] == ["LocalBlock"] * 7 + ["GlobalBlock"] * 11
    assert [block.attn.heads for block in blocks[7:]] == [5] * 8 + [8] * 3
    assert [block.drop_path.p for block in blocks] == pytest.approx([0.1 * i / 17 for i in range(18)])


def test_parameter_names_are_those_of_the_published_files():
    keys = set(UniFormer(8).state_dict())
    for key in (
        "patch_embed1.proj.weight",
        "patch_embed4.norm.bias",
        "blocks1.0.pos_embed.weight",
        "blocks1.2.norm1.running_mean",
        "blocks2.3.conv1.weight",
        "blocks2.3.attn.weight",
        "blocks2.3.conv2.bias",
        "blocks2.3.mlp.fc1.weight",
        "blocks3.7.attn.qkv.weight",
        "blocks4.2.attn.proj.bias",
        "blocks4.2.mlp.fc2.weight",
        "norm.running_var",
    ):
        assert key in keys


def test_attention_is_softmax_of_scaled_products():
    attention = Attention(8, 4)
    tokens_BND = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    query, key, value = attention.qkv(tokens_BND).chunk(3, dim=2)
    heads = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        weights_BNN = F.softmax(query[..., part] @ key[..., part].transpose(1, 2) / 2.0, dim=2)
        heads.append(weights_BNN @ value[..., part])
    assert torch.allclose(attention(tokens_BND), attention.proj(torch.cat(heads, dim=2)), atol=1e-6)


def test_drop_path_skips_in_training_only():
    block = GlobalBlock(8, 4, 1.0)
    volume = torch.randn(2, 8, 2, 3, 3)
    skipped = volume + block.pos_embed(volume)
    assert torch.allclose(block(volume), skipped)
    block.eval()
    assert not torch.allclose(block(volume), skipped)


def test_the_patch_norm_acts_over_channels():
    embedding = PatchEmbedding(3, 16, (3, 4, 4), (2, 4, 4))
    out = embedding(torch.randn(2, 3, 4, 8, 8))
    assert out.shape == (2, 16, 2, 2, 2)
    assert torch.allclose(out.mean(1), torch.zeros(2, 2, 2, 2), atol=1e-5)
    assert torch.allclose(out.var(1, unbiased=False), torch.ones(2, 2, 2, 2), atol=1e-2)


def test_padding_of_uneven_maps_keeps_the_last_rows():
    backbone = UniFormer(8).eval()
    clips_BCTHW = torch.randn(1, 3, 4, 48, 48, requires_grad=True)
    features = backbone.features(clips_BCTHW)
    assert features.shape == (1, 64, 2, 2, 2)
    features[..., -1, :].pow(2).sum().backward()
    assert clips_BCTHW.grad[..., -1, :].abs().max() > 0


def test_a_small_uniformer_learns_from_a_step():
    network = build_model(
        Model(backbone="uniformer_s", width=8, pooling=Pooling(name="average")), n_outputs=3, frames=4, size=32, seed=0
    )
    F.cross_entropy(network(torch.randn(4, 3, 4, 32, 32)), torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
