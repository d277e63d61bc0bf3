"""Encoders trained on histology, with small random weights as published, against their libraries."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from triptych.core.errors import MissingExtraError, RecipeError, WeightsError
from triptych.core.protocols import ImageEncoder
from triptych.encoders import registry
from triptych.encoders.images import conch, h_optimus_0, phikon_v2, uni, virchow2

pytest.importorskip("timm", reason="the extra images is not installed")
transformers = pytest.importorskip("transformers", reason="the extra foundation is not installed")
TIMM = ["uni", "h-optimus-0", "virchow2", "conch"]
NAMES = [*TIMM, "phikon-v2"]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 448, 448, 3), dtype=np.uint8)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
BIOPTIMUS = ((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))


def windows(px):
    return PIXELS[:, :px, :px]


def normalised(px, colours=IMAGENET):
    """What each model card says to do before the model."""
    mean, std = (torch.tensor(c)[:, None, None] for c in colours)
    return (torch.from_numpy(windows(px).transpose(0, 3, 1, 2) / np.float32(255)) - mean) / std


def encoded(name, folder, px=224, **parameters):
    encoder = registry.make(name, {"weights": str(folder), **parameters})
    assert isinstance(encoder, ImageEncoder)
    assert encoder.tile_px == px
    return encoder.load("cpu")(windows(px))


def close(found, wanted):
    assert found.dtype == np.float32
    assert wanted.std(dim=0).max() > 1e-3
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "colours"), [("uni", IMAGENET), ("h-optimus-0", BIOPTIMUS)])
@torch.no_grad()
def test_the_class_token_is_that_of_timm(name, colours, published):
    model, folder = published(name)
    close(encoded(name, folder), model.forward_features(normalised(224, colours))[:, 0])


@torch.no_grad()
def test_virchow2_leaves_its_registers_out(published):
    model, folder = published("virchow2")
    tokens = model(normalised(224))
    assert tokens.shape == (2, 1 + 4 + 256, 24)
    close(encoded("virchow2", folder), torch.cat([tokens[:, 0], tokens[:, 5:].mean(dim=1)], dim=1))
    close(encoded("virchow2", folder, pooling="cls"), tokens[:, 0])


@torch.no_grad()
def test_conch_is_what_its_query_finds_before_it_is_projected(published):
    """The attention written out: softmax(q kᵀ / √d) v of each head."""
    model, folder = published("conch")
    visual, pool = model.visual, model.visual.attn_pool_contrast
    tokens = pool.ln_k(visual.trunk.forward_features(normalised(448, CLIP)))
    assert tokens.shape == (2, 1 + 28 * 28, 32)
    parts = zip(
        (pool.attn.q_proj_weight, pool.attn.k_proj_weight, pool.attn.v_proj_weight),
        pool.attn.in_proj_bias.chunk(3),
        (pool.ln_q(pool.query), tokens, tokens),
        strict=True,
    )
    query, keys, values = (given @ weight.T + bias for weight, bias, given in parts)
    heads = []
    for part in (slice(0, 8), slice(8, 16)):
        weights = (query[:, part] @ keys[..., part].transpose(1, 2) / 8**0.5).softmax(dim=-1)
        heads.append((weights @ values[..., part])[:, 0])
    close(encoded("conch", folder, 448), visual.ln_contrast(pool.attn.out_proj(torch.cat(heads, dim=1))))


@torch.no_grad()
def test_phikon_v2_is_that_of_transformers(published):
    folder = published("phikon-v2")[1]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    states = model(normalised(224)).last_hidden_state
    assert states.shape == (2, 1 + 14 * 14, 32)
    close(encoded("phikon-v2", folder), states[:, 0])


@pytest.mark.parametrize(
    ("name", "millions"),
    [("uni", 303.3), ("h-optimus-0", 1134.8), ("virchow2", 631.2), ("conch", 86.4), ("phikon-v2", 303.4)],
)
def test_as_many_weights_as_published(name, millions):
    encoder = registry.make(name)
    with torch.device("meta"):
        if name == "phikon-v2":
            model = transformers.Dinov2Model(
                transformers.Dinov2Config(**phikon_v2.ARCHITECTURE, image_size=224)
            )
            wide = model.config.hidden_size
        else:
            model = encoder.build()
            wide = 512 if name == "conch" else model.num_features * (2 if name == "virchow2" else 1)
    if name == "conch":
        model = model.visual.trunk
    assert sum(weight.numel() for weight in model.parameters()) / 1e6 == pytest.approx(millions, rel=3e-3)
    assert encoder.card.dimension == wide


def test_conch_has_the_names_and_shapes_of_the_published_file():
    with torch.device("meta"):
        shapes = {name: tuple(weight.shape) for name, weight in conch.Conch().build().state_dict().items()}
    pool = "visual.attn_pool_contrast"
    wanted = {
        "visual.trunk.cls_token": (1, 1, 768), "visual.trunk.pos_embed": (1, 785, 768),
        "visual.trunk.patch_embed.proj.weight": (768, 3, 16, 16), "visual.trunk.norm.bias": (768,),
        "visual.trunk.blocks.11.mlp.fc1.weight": (3072, 768), f"{pool}.query": (1, 512),
        f"{pool}.attn.q_proj_weight": (512, 512), f"{pool}.attn.k_proj_weight": (512, 768),
        f"{pool}.attn.v_proj_weight": (512, 768), f"{pool}.attn.in_proj_bias": (1536,),
        f"{pool}.attn.out_proj.weight": (512, 512), f"{pool}.attn.out_proj.bias": (512,),
        f"{pool}.ln_q.weight": (512,), f"{pool}.ln_q.bias": (512,), f"{pool}.ln_k.weight": (768,),
        f"{pool}.ln_k.bias": (768,), "visual.ln_contrast.weight": (512,), "visual.ln_contrast.bias": (512,),
    }  # fmt: skip
    assert wanted.items() <= shapes.items()
    others = [name for name in shapes if name not in wanted]
    assert all(name.startswith(("visual.trunk.blocks.", "visual.trunk.patch_embed.")) or
               name == "visual.trunk.norm.weight" for name in others)  # fmt: skip


@pytest.mark.parametrize("name", TIMM)
def test_nothing_unknown_is_let_pass(name, published, tmp_path):
    model = published(name)[0]
    torch.save({**model.state_dict(), "surprise": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="does not fit the model: unexpected: surprise"):
        registry.make(name, {"weights": str(tmp_path)}).load("cpu")


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_another_model_are_refused(name, published, tmp_path):
    path = published("uni2-h" if name != "phikon-v2" else "dinov2")[1]
    with pytest.raises(WeightsError, match="does not fit the model|model_type|patch_size is 14"):
        registry.make(name, {"weights": str(path)}).load("cpu")


@pytest.mark.parametrize("name", NAMES)
def test_loading_draws_no_random_numbers(name, published):
    encoder = registry.make(name, {"weights": str(published(name)[1])})
    before = torch.get_rng_state()
    encode = encoder.load("cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert encode(windows(encoder.tile_px)[:0]).shape == (0, encoder.wanted.dimension)


def test_a_pooling_decides_the_width_of_virchow2():
    assert registry.make("virchow2").wanted.dimension == 2560
    assert registry.make("virchow2", {"pooling": "cls"}).wanted.dimension == 1280
    with pytest.raises(RecipeError, match="pooling"):
        registry.make("virchow2", {"pooling": "mean"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 14}, "patch_size is 14; phikon-v2 has 16"),
        ({"model_type": "vit"}, "model_type is vit; phikon-v2 has dinov2"),
        ({"image_size": 8}, "image_size should be from 16 to 4096 px, got 8"),
        ({"image_size": True}, "image_size should be from 16 to 4096 px, got True"),
        ({"hidden_size": 8, "mlp_ratio": 2}, "2 faults"),
    ],
)
def test_a_config_of_another_model(changes, message, published, tmp_path):
    folder = shutil.copytree(published("phikon-v2")[1], tmp_path / "phikon")
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    with pytest.raises(WeightsError, match=message):
        registry.make("phikon-v2", {"weights": str(folder)}).load("cpu")


def test_positions_of_phikon_v2_may_be_of_another_side(published, tmp_path):
    """They are interpolated to the 14 × 14 patches of the input."""
    model = published("phikon-v2")[0]
    config = transformers.Dinov2Config(image_size=96, **phikon_v2.ARCHITECTURE)
    transformers.Dinov2Model(config).save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors")["embeddings.position_embeddings"].shape == (1, 37, 32)
    assert encoded("phikon-v2", tmp_path).shape == (2, model.config.hidden_size)


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_those_of_training(name):
    encoder = registry.make(name)
    assert encoder.window_um == 112
    if name == "conch":
        assert encoder.card.mpp is None
    else:
        assert encoder.window_um / encoder.tile_px == encoder.card.mpp == 0.5
    with pytest.raises(RecipeError, match="window_um must be positive"):
        registry.make(name, {"window_um": 0.0})
    assert encoder.card.gated == (name != "phikon-v2")


@pytest.mark.parametrize("name", TIMM)
def test_timm_is_asked_for(name, published, monkeypatch):
    folder = published(name)[1]
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"timm is not installed. pip install 'triptych\[images\]'"):
        registry.make(name, {"weights": str(folder)}).load("cpu")


def test_importing_the_modules_imports_no_library():
    names = ", ".join(module.__name__ for module in (conch, h_optimus_0, phikon_v2, uni, virchow2))
    code = f"import sys, {names}; print([m for m in ('torch', 'transformers', 'timm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
