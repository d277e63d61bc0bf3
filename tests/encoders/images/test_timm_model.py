"""Encoders of timm with random weights in the published formats, against timm called directly."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from triptych.core.errors import MissingExtraError, RecipeError, WeightsError
from triptych.core.protocols import ImageEncoder
from triptych.encoders import registry

pytest.importorskip("timm", reason="the extra images is not installed")
NAMES = ["inception-v3", "uni2-h"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 299, 299, 3), dtype=np.uint8)


def windows(encoder, number=3):
    return PIXELS[:number, : encoder.tile_px, : encoder.tile_px]


def directly(model, encoder, pixels):
    """What the model's authors do: scale to 0 … 1, normalise once, stop before the classifier."""
    model.reset_classifier(0)
    x = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255))
    mean, std = (torch.tensor(c)[:, None, None] for c in (encoder.card.mean, encoder.card.std))
    with torch.no_grad():
        found = model((x - mean) / std)
    return (found[0] if isinstance(found, tuple) else found).numpy()  # the second is the auxiliary classifier


@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_model(name, published):
    model, folder = published(name)
    encoder = registry.make(name, {"weights": str(folder)})
    assert isinstance(encoder, ImageEncoder)
    found = encoder.load("cpu")(windows(encoder))
    assert found.dtype == np.float32
    wanted = directly(model, encoder, windows(encoder))
    assert wanted.std(axis=0).max() > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_normalisation_is_that_of_the_checkpoint():
    from timm.models import get_pretrained_cfg

    card, config = registry.find("inception-v3").card, get_pretrained_cfg("inception_v3.tv_in1k")
    assert (card.mean, card.std) == (config.mean, config.std)
    assert config.input_size == (3, card.input_px, card.input_px)
    assert config.hf_hub_id == card.source


def test_uni2_h_has_as_many_weights_as_published(published):
    encoder = registry.make("uni2-h")
    with pytest.MonkeyPatch.context() as patch:
        import triptych.encoders.images.uni2_h as module

        full = {"depth": 24, "num_heads": 24, "embed_dim": 1536, "reg_tokens": 8}
        for key, value in full.items():
            patch.setitem(module.ARCHITECTURE, key, value)
        with torch.device("meta"):
            model = encoder.build()
    assert sum(weight.numel() for weight in model.parameters()) == 681_394_176
    assert model.num_features == encoder.card.dimension == 1536


def test_inception_gives_the_features_of_its_card(published):
    encoder = registry.make("inception-v3", {"weights": str(published("inception-v3")[1])})
    assert encoder.load("cpu")(windows(encoder, 1)).shape == (1, encoder.card.dimension)
    assert encoder.load("cpu")(windows(encoder, 0)).shape == (0, 2048)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
def test_every_format_gives_the_same_bits(published, tmp_path, suffix):
    model, folder = published("uni2-h")
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), path)
    encoders = [registry.make("uni2-h", {"weights": str(where)}) for where in (folder, path)]
    one, other = (encoder.load("cpu")(windows(encoder)) for encoder in encoders)
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_loading_draws_no_random_numbers(name, published):
    encoder = registry.make(name, {"weights": str(published(name)[1])})
    before = torch.get_rng_state()
    encoder.load("cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_fingerprint_is_of_the_content_not_of_the_path(published, tmp_path):
    _, folder = published("uni2-h")
    content = (folder / "pytorch_model.bin").read_bytes()
    (tmp_path / "copy.bin").write_bytes(content)
    found = {
        registry.make("uni2-h", {"weights": str(w)}).fingerprint() for w in (folder, tmp_path / "copy.bin")
    }
    assert found == {hashlib.sha256(content).hexdigest()}


def test_weights_of_another_model_are_refused(published):
    encoder = registry.make("uni2-h", {"weights": str(published("inception-v3")[1])})
    with pytest.raises(WeightsError, match="does not fit the model: 2 faults") as caught:
        encoder.load("cpu")
    assert "missing: cls_token" in str(caught.value)
    assert "unexpected: " in str(caught.value)


def test_classifiers_of_inception_are_left_out_but_nothing_else(published, tmp_path):
    model, _ = published("inception-v3")
    save_file({**model.state_dict(), "surprise": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit the model: unexpected: surprise"):
        registry.make("inception-v3", {"weights": str(tmp_path)}).load("cpu")


def test_timm_is_asked_for(published, monkeypatch):
    _, folder = published("uni2-h")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"timm is not installed. pip install 'triptych\[images\]'"):
        registry.make("uni2-h", {"weights": str(folder)}).load("cpu")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_window_out_of_range(name, wrong):
    with pytest.raises(RecipeError, match="window_um must be positive"):
        registry.make(name, {"window_um": wrong})


def test_weights_must_be_named():
    with pytest.raises(RecipeError, match="weights must be a file, a folder, or hub"):
        registry.make("uni2-h", {"weights": ""})


def test_defaults_are_those_of_paper_and_training():
    inception, uni = (registry.make(name) for name in NAMES)
    assert inception.window_um == 55
    assert uni.window_um / uni.tile_px == uni.card.mpp == 0.5
