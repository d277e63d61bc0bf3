"""DINOv2 with random weights in the published format, against transformers called directly."""

import json
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import GatedRepoError
from safetensors.torch import load_file, save_file

from triptych.core.errors import MissingExtraError, RecipeError, WeightsError
from triptych.core.protocols import ImageEncoder
from triptych.encoders import registry
from triptych.encoders.images import dinov2
from triptych.encoders.images.transformers_model import renamed

transformers = pytest.importorskip("transformers", reason="the extra foundation is not installed")
NAMES = ["dinov2", "dinov2-reg"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
CLASSES = {"dinov2": "Dinov2Model", "dinov2-reg": "Dinov2WithRegistersModel"}


@pytest.fixture
def folder(published, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(published("dinov2")[1], tmp_path / "dinov2")


def encoded(name="dinov2", **parameters):
    return registry.make(name, parameters).load("cpu")(PIXELS)


def states(name, folder):
    """What the library itself reads and computes."""
    model = getattr(transformers, CLASSES[name]).from_pretrained(folder).eval()
    x = torch.from_numpy(PIXELS.transpose(0, 3, 1, 2) / np.float32(255))
    mean, std = (torch.tensor(c)[:, None, None] for c in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        out = model((x - mean) / std)
    assert torch.equal(out.pooler_output, out.last_hidden_state[:, 0])
    return out.last_hidden_state.numpy()


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# numbers


@pytest.mark.parametrize("name", NAMES)
def test_the_class_token_is_that_of_the_library(name, published):
    where = published(name)[1]
    encoder = registry.make(name, {"weights": str(where)})
    assert isinstance(encoder, ImageEncoder)
    assert encoder.tile_px == 224
    found, wanted = encoder.load("cpu")(PIXELS), states(name, where)[:, 0]
    assert found.dtype == np.float32
    assert wanted.std(axis=0).max() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    assert encoder.load("cpu")(PIXELS[:0]).shape == (0, 32)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_over_patches_leaves_class_and_registers_out(name, published):
    where = published(name)[1]
    found, wanted = encoded(name, weights=str(where), pooling="cls+mean"), states(name, where)
    assert wanted.shape[1] == 1 + 256 + (4 if name == "dinov2-reg" else 0)
    np.testing.assert_allclose(found[:, :32], wanted[:, 0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[:, 32:], wanted[:, -256:].mean(axis=1), rtol=0, atol=1e-6)
    assert registry.make(name, {"weights": str(where), "pooling": "cls+mean"}).load("cpu")(
        PIXELS[:0]
    ).shape == (0, 64)


def test_positions_are_interpolated_and_count(folder):
    """The published grid has 5 × 5 patches and the input 16 × 16."""
    before = encoded(weights=str(folder))
    state = load_file(folder / "model.safetensors")
    assert state["embeddings.position_embeddings"].shape == (1, 26, 32)
    state["embeddings.position_embeddings"][:, 1:] = state["embeddings.position_embeddings"][:, 1:].flip(1)
    save_file(state, folder / "model.safetensors")
    assert np.abs(encoded(weights=str(folder)) - before).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_every_format_and_every_naming_gives_the_same_bits(name, published, tmp_path):
    model, where = published(name)
    one = encoded(name, weights=str(where))
    assert encoded(name, weights=str(where / "model.safetensors")).tobytes() == one.tobytes()
    for state, folder in ((load_file(where / "model.safetensors"), "old"), (model.state_dict(), "new")):
        (tmp_path / folder).mkdir()
        shutil.copy(where / "config.json", tmp_path / folder)
        torch.save(state, tmp_path / folder / "pytorch_model.bin")
        assert encoded(name, weights=str(tmp_path / folder)).tobytes() == one.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_gated_layers_of_the_giant(name, published, tmp_path, monkeypatch):
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "use_swiglu_ffn": True}
    model = published(name)[0]
    config = type(model.config)(image_size=70, patch_size=14, **small)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        type(model)(config).save_pretrained(tmp_path)
    assert "encoder.layer.0.mlp.weights_in.weight" in load_file(tmp_path / "model.safetensors")
    monkeypatch.setitem(dinov2.SIZES, "giant", dinov2.Size(**small))
    found = encoded(name, weights=str(tmp_path), size="giant")
    np.testing.assert_allclose(found, states(name, tmp_path)[:, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("millions", [("small", 22.06), ("large", 304.4), ("giant", 1136.5)])
def test_sizes_have_as_many_weights_as_published(name, millions):
    size, number = millions
    encoder = registry.make(name, {"size": size})
    kind = CLASSES[name].removesuffix("Model")
    sizes = encoder.architecture({"model_type": encoder.family, "image_size": 518}, "config.json")
    with torch.device("meta"):
        model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes))
    assert sum(weight.numel() for weight in model.parameters()) / 1e6 == pytest.approx(number, rel=1e-3)
    assert encoder.wanted.dimension == model.config.hidden_size
    assert encoder.wanted.source.endswith(size)


def test_names_are_changed_only_to_names_of_the_model():
    rows, gates = torch.arange(8.0).reshape(4, 2), (".mlp.gate_proj.weight", ".mlp.up_proj.weight")
    given = {"l.mlp.weights_in.weight": rows, "l.attention.output.dense.weight": rows, "other": rows}
    found = renamed(given, {"l" + gate for gate in gates})
    assert set(found) == {"l" + gates[0], "l" + gates[1], "l.attention.output.dense.weight", "other"}
    assert torch.equal(found["l" + gates[0]], rows[:2])
    assert torch.equal(found["l" + gates[1]], rows[2:])
    assert renamed(given, set(given)) == given
    for odd in (torch.ones(3), torch.ones(())):  # has no halves
        assert renamed({"l.mlp.weights_in.weight": odd}, set(found)) == {"l.mlp.weights_in.weight": odd}


@pytest.mark.parametrize("name", NAMES)
def test_loading_draws_no_random_numbers(name, published):
    encoder = registry.make(name, {"weights": str(published(name)[1])})
    before = torch.get_rng_state()
    encoder.load("cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_importing_the_module_imports_no_library():
    code = (
        "import sys, triptych.encoders.images.dinov2_reg;"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# what the files must be


def test_fingerprint_is_of_weights_and_config_not_of_the_path(folder, published):
    one, other = (registry.make("dinov2", {"weights": str(w)}) for w in (folder, published("dinov2")[1]))
    assert one.fingerprint() == other.fingerprint()
    edit(folder, image_size=84)
    assert one.fingerprint() != other.fingerprint()


def test_nothing_else_of_the_config_is_followed(folder):
    before = encoded(weights=str(folder))
    edit(
        folder,
        auto_map={"AutoModel": "evil--code"},
        _attn_implementation="somewhere/kernel",
        quantization_config={"quant_method": "none"},
        hidden_dropout_prob=0.9,
    )
    assert encoded(weights=str(folder)).tobytes() == before.tobytes()


def test_a_config_must_lie_beside_the_weights(folder):
    (folder / "config.json").unlink()
    for where in (folder, folder / "model.safetensors"):
        with pytest.raises(
            WeightsError, match="holds no config.json beside model.safetensors. Download both"
        ):
            encoded(weights=str(where))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b'{"hidden_size": 32', "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "should hold names and values"),
        (b"{}", "image_size should be from 14 to 4096 px, got None"),
    ],
)
def test_a_damaged_config(folder, content, message):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        encoded(weights=str(folder))


@pytest.mark.parametrize("side", [0, 13, -70, 70.0, "70", True, 10**12])
def test_a_side_that_no_image_has(folder, side):
    edit(folder, image_size=side)
    with pytest.raises(WeightsError, match="image_size should be from 14 to 4096 px"):
        encoded(weights=str(folder))


def test_a_config_of_another_size_names_it(folder):
    edit(folder, hidden_size=384, num_hidden_layers=12, num_attention_heads=6, use_swiglu_ffn=False)
    with pytest.raises(WeightsError, match="3 faults") as caught:
        encoded(weights=str(folder))
    assert "hidden_size is 384; dinov2 of size base has 32." in str(caught.value)
    assert str(caught.value).endswith("Set size to small.")


def test_a_config_of_another_architecture(folder, published):
    edit(folder, model_type="vit", patch_size=16)
    with pytest.raises(WeightsError, match="2 faults") as caught:
        encoded(weights=str(folder))
    for words in (
        "model_type is vit; dinov2 of size base has dinov2.",
        "patch_size is 16",
        "It is of another model, or damaged.",
    ):
        assert words in str(caught.value)
    with pytest.raises(
        WeightsError, match="model_type is dinov2; dinov2-reg of size base has dinov2_with_registers"
    ):
        encoded("dinov2-reg", weights=str(published("dinov2")[1]))


def test_weights_that_disagree_with_the_config(folder):
    edit(folder, image_size=518)
    with pytest.raises(WeightsError, match="of another shape: embeddings.position_embeddings"):
        encoded(weights=str(folder))
    save_file({"conv.weight": torch.ones(2)}, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit the model: 2 faults") as caught:
        encoded(weights=str(folder))
    assert "missing: embeddings.cls_token" in str(caught.value)
    assert "unexpected: conv.weight" in str(caught.value)


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="is damaged, or holds more than weights"):
        encoded(weights=str(folder))


def test_absent_weights(tmp_path):
    with pytest.raises(
        WeightsError, match="there is no .*nowhere. Download them from .*/facebook/dinov2-large"
    ):
        encoded(weights=str(tmp_path / "nowhere"), size="large")
    with pytest.raises(WeightsError, match="holds no model.safetensors or pytorch_model.bin"):
        encoded(weights=str(tmp_path))


def test_transformers_is_asked_for(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"transformers is not installed. .*'triptych\[foundation\]'"):
        encoded(weights=str(folder))


# the hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, no way out, and the folder where its client would keep DINOv2 base."""

    def refuse(*_):
        raise RuntimeError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = tmp_path / "hub" / "models--facebook--dinov2-base"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    return repository / "snapshots" / "abc"


def test_what_the_hub_once_gave_needs_no_network(hub, folder):
    for file in ("model.safetensors", "config.json"):
        shutil.copy(folder / file, hub)
    assert encoded().tobytes() == encoded(weights=str(folder)).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_offline_and_not_cached(name, hub):
    with pytest.raises(
        WeightsError, match="HF_HUB_OFFLINE is set, and the hub's cache holds no facebook/dinov2"
    ):
        encoded(name, size="small")


def test_offline_with_half_of_it_cached(hub, folder):
    shutil.copy(folder / "model.safetensors", hub)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        encoded()


def test_a_mirror_that_asks_for_permission(hub, monkeypatch):
    def gated(*_):
        raise GatedRepoError("no", response=SimpleNamespace(headers={}, request=None, status_code=403))

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", gated)
    with pytest.raises(WeightsError, match="dinov2: facebook/dinov2-base is gated"):
        encoded()


# parameters


@pytest.mark.parametrize("name", [*NAMES, "inception-v3", "uni2-h"])
def test_window_in_pixels(name):
    assert registry.make(name).window_px == 0
    assert registry.make(name, {"window_px": 32}).window_px == 32
    with pytest.raises(RecipeError, match="window_px must be at least 1, or 0 for window_um, got -1"):
        registry.make(name, {"window_px": -1})


@pytest.mark.parametrize(
    "wrong", [{"window_um": 0.0}, {"weights": ""}, {"size": "huge"}, {"pooling": "mean"}, {"window_px": 1.5}]
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        registry.make("dinov2", wrong)


def test_cards():
    for name in NAMES:
        encoder = registry.make(name)
        assert encoder.wanted == encoder.card
        assert encoder.card.name == name
        assert encoder.card.on_hub
        assert not encoder.card.gated
        both = registry.make(name, {"pooling": "cls+mean", "size": "giant"}).wanted
        assert (both.dimension, both.source) == (3072, encoder.repository + "giant")
