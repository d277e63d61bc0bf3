"""HoVer-Net and CellViT of cellseg-models-pytorch on tiny encoders, against the library called directly."""

import json
import sys
from dataclasses import asdict
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from triptych.core.errors import DataError, MissingExtraError, RecipeError, WeightsError
from triptych.core.nuclei import Segmenter, SegmenterModel, Tiles
from triptych.nets import cellseg
from triptych.nets.cellseg_encoder import PACKAGES, encoder_of
from triptych.segmenters import registry

for package in (*PACKAGES, "cellseg_models_pytorch"):
    pytest.importorskip(package, reason="the extra nuclei is not installed")

TINY_SAM = {
    "embed_dim": 32, "depth": 8, "num_heads": 2, "global_attn_indexes": [3, 7], "window_size": 4,
    "neck_chans": 16, "img_size": 64,
}  # fmt: skip
SHORT = {
    "weights": "none",
    "steps": 12,
    "batch": 4,
    "crop_px": 64,
    "learning_rate": 2e-3,
    "stain_jitter": 0.0,
}
HOVER = {"encoder": "resnet10t", "widths": (64, 64, 16, 16)} | SHORT
SAM = {"encoder_settings": TINY_SAM, "widths": (32, 16, 16, 16)} | SHORT
VIT = {"encoder": "test_vit", "widths": (32, 16, 16, 16)} | SHORT
CASES = {"hover": ("hovernet", HOVER), "sam": ("cellvit", SAM), "vit": ("cellvit", VIT)}


class Discs:
    """Tiles of nine round nuclei of two classes that differ in colour."""

    classes, mpp, tile_px = ("dark", "pale"), 0.25, 96

    def __init__(self, number=6):
        rng = np.random.default_rng(0)
        y, x = np.mgrid[: self.tile_px, : self.tile_px]
        shape = (number, self.tile_px, self.tile_px)
        self.image = np.full((*shape, 3), 230, np.uint8)
        self.instances, self.types = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        for tile in range(number):
            for nucleus, (cy, cx) in enumerate(np.ndindex(3, 3), start=1):
                dy, dx = rng.integers(-4, 5, 2)
                inside = np.hypot(y - 16 - 32 * cy - dy, x - 16 - 32 * cx - dx) < rng.integers(7, 11)
                kind = rng.integers(2)
                self.instances[tile][inside], self.types[tile][inside] = nucleus, 1 + kind
                self.image[tile][inside] = ((60, 30, 110), (150, 90, 190))[kind]
        self.about = pd.DataFrame(
            {"sample": "s", "donor": "d", "organ": "o", "x_px": 0, "y_px": 0, "nuclei": 9},
            index=range(number),
        )

    def __len__(self):
        return len(self.image)

    def take(self, rows):
        known = np.zeros(self.instances[rows].shape, bool)
        return Tiles(self.image[rows], self.instances[rows], self.types[rows], known)


def fitted(name, params, seed=0, **more):
    return registry.make(name, params | more).fit(Discs(), np.random.default_rng(seed)).model


@lru_cache(maxsize=3)
def learned(case):
    """A model that is trained once for all tests."""
    name, params = CASES[case]
    return fitted(name, params | ({"steps": 25, "learning_rate": 5e-3} if case == "hover" else {}))


def encoder(case, **more):
    name, params = CASES[case]
    return encoder_of(
        name, params.get("encoder", "samvit_base_patch16"), params.get("encoder_settings", {}) | more
    )


def net_of(case, **more):
    name, params = CASES[case]
    return cellseg.network(encoder(case), name, params["widths"], classes=2, seed=3, **more)


@pytest.mark.parametrize("case", list(CASES))
def test_forward_gives_the_maps_of_the_library_in_the_order_of_the_package(case):
    net = net_of(case).eval()
    x = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(c).view(3, 1, 1) for c in (encoder(case).mean, encoder(case).std))
    with torch.no_grad():
        found = net(x)
        _, levels = net.inner[encoder(case).name]((x - mean) / std)
        wanted = net.inner["decoder"](levels).nuc_map
    assert found.shape == (2, 1 + 2 + 1 + 2, 96, 64)
    assert torch.equal(found[:, :1], wanted.binary_map)
    assert torch.equal(found[:, 1], wanted.aux_map[:, 1])  # the library puts the vertical map first
    assert torch.equal(found[:, 2], wanted.aux_map[:, 0])
    assert torch.equal(found[:, 3:], wanted.type_map)
    assert len({bytes(found[0, channel].numpy()) for channel in range(6)}) == 6


def test_cellvit_of_parts_is_that_of_the_library():
    """What is built for other transformers has, on SAM's, the weights and outputs of the library's class."""
    nets = []
    for make in (cellseg._of_parts, cellseg._of_library):
        torch.manual_seed(5)
        heads = {"binary": {"nuc_binary": 1}, "hovernet": {"nuc_hovernet": 2}, "type": {"nuc_type": 3}}
        nets.append(
            cellseg.Maps(make("cellvit", encoder("sam"), (32, 16, 16, 16), heads), encoder("sam")).eval()
        )
    one, other = (net.state_dict() for net in nets)
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(nets[0](x), nets[1](x))


def test_blocks_are_those_of_the_paper():
    assert encoder_of("cellvit", "samvit_base_patch16", {}).levels == (2, 5, 8, 11)
    assert encoder_of("cellvit", "vit_large_patch16_224", {"init_values": 1e-5}).levels == (5, 11, 17, 23)
    assert encoder_of("hovernet", "resnet50", {}).levels == (0, 1, 2, 3)
    assert encoder_of("hovernet", "convnext_tiny", {}).multiple_px == 32


@pytest.mark.parametrize("case", list(CASES))
def test_a_few_steps_learn_and_a_saved_model_gives_the_same_bits(case, tmp_path, monkeypatch):
    name, params = CASES[case]
    model = learned(case)
    assert isinstance(model, SegmenterModel)
    assert model.losses[-3:].mean() < 0.9 * model.losses[:3].mean()
    model.save(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = registry.make(name, params).restore(tmp_path)
    pictures = Discs().image[:1, :83, :71]
    assert again.maps(pictures).tobytes() == model.maps(pictures).tobytes()
    assert (again.mpp, again.classes, again.multiple_px) == (0.25, ("dark", "pale"), 16)
    found = again.segment(pictures[0])
    assert found.instances.shape == (83, 71)
    assert found.probabilities.shape == (found.instances.max(), 2)


def test_hovernet_finds_the_nuclei_and_their_types():
    """Nine discs, their place, and which of two colours each has."""
    model, tiles = learned("hover"), Discs()
    found = model.segment(tiles.image[0])
    assert found.instances.max() == 9
    truth, guess = tiles.instances[0] > 0, found.instances > 0
    assert 2 * (truth & guess).sum() / (truth.sum() + guess.sum()) > 0.9
    inside = truth & guess
    kind = found.probabilities.argmax(axis=1)[found.instances[inside] - 1] + 1
    assert (kind == tiles.types[0][inside]).mean() > 0.9


def test_same_seed_same_bits_and_torch_is_left_alone():
    state = torch.get_rng_state()
    one, other, third = (fitted("cellvit", VIT, seed, steps=2) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.losses.tobytes() == other.losses.tobytes()
    assert all(np.array_equal(one.network[key], other.network[key]) for key in one.network)
    assert one.losses[0] != third.losses[0]


@pytest.mark.parametrize("name", ["hovernet", "cellvit"])
def test_component(name):
    component = registry.make(name, CASES["hover" if name == "hovernet" else "sam"][1])
    assert isinstance(component, Segmenter)
    assert registry.make(name, json.loads(json.dumps(asdict(component)))) == component
    assert component.fingerprint() == ""


def test_no_class_is_needed():
    tiles = Discs()
    tiles.classes, tiles.types = (), np.where(tiles.instances > 0, 255, 0).astype(np.uint8)
    model = registry.make("cellvit", VIT | {"steps": 1}).fit(tiles, np.random.default_rng(0)).model
    assert model.segment(tiles.image[0]).probabilities.shape[1] == 0


def published(name, path):
    """Weights with a classifier, as timm's hub has them."""
    import timm

    model = timm.create_model(name)
    state = {key: torch.rand_like(value.float()) * 0.1 for key, value in model.state_dict().items()}
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    return state


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin"])
def test_weights_are_put_into_the_encoder(tmp_path, suffix):
    from triptych.nets.cellseg_weights import fill

    state, net = published("resnet10t", tmp_path / f"w{suffix}"), net_of("hover")
    fill(net.encoder, tmp_path / f"w{suffix}", "fc")
    filled = net.encoder.state_dict()
    assert "fc.weight" not in filled
    assert all(torch.equal(filled[key], state[key]) for key in filled if "num_batches" not in key)


def test_weights_as_sam_names_them(tmp_path):
    from triptych.nets.cellseg_weights import fill

    path, net = tmp_path / "sam.pth", net_of("sam")
    state = {
        "image_encoder." + key.replace("mlp.fc", "mlp.lin"): torch.randn_like(value)
        for key, value in net.encoder.state_dict().items()
    }
    torch.save(state | {"mask_decoder.x": torch.ones(1)}, path)
    fill(net.encoder, path, None)
    assert torch.equal(net.encoder.state_dict()["pos_embed"], state["image_encoder.pos_embed"])


def test_a_frozen_encoder_stays_and_the_weights_count(tmp_path):
    state = published("resnet10t", tmp_path / "model.safetensors")
    frozen = {"weights": str(tmp_path), "frozen": True, "steps": 2}
    model = fitted("hovernet", HOVER, **frozen)
    prefix = "inner.resnet10t.encoder.encoder."
    kept = {key.removeprefix(prefix): value for key, value in model.network.items() if key.startswith(prefix)}
    assert len(kept) > 20
    assert all(np.array_equal(value, state[key].numpy()) for key, value in kept.items())
    free = fitted("hovernet", HOVER, weights=str(tmp_path), steps=2)
    assert not np.array_equal(free.network[prefix + "layer1.0.conv1.weight"], kept["layer1.0.conv1.weight"])
    one, other = registry.make("hovernet", HOVER | frozen), registry.make("hovernet", HOVER)
    assert len(one.fingerprint()) == 64
    assert other.fingerprint() == ""


def test_colours_may_be_given():
    model = fitted("cellvit", VIT, steps=1, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert np.allclose(model.network["mean"].ravel(), (0.1, 0.2, 0.3))
    assert np.allclose(model.network["std"].ravel(), (0.4, 0.5, 0.6))
    assert np.allclose(model.net.mean.cpu().numpy().ravel(), (0.1, 0.2, 0.3))  # not those that timm knows


def test_the_hub_is_asked_for_timms_repository(tmp_path, monkeypatch):
    import huggingface_hub

    state, asked = published("resnet10t", tmp_path / "model.safetensors"), []
    cached = lambda repository, name: (asked.append(repository), str(tmp_path / name))[1]  # noqa: E731
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    model = fitted("hovernet", HOVER, weights="hub", steps=1, learning_rate=1e-9)
    assert asked == ["timm/resnet10t.c3_in1k"]
    key = "layer1.0.conv1.weight"
    assert np.allclose(model.network["inner.resnet10t.encoder.encoder." + key], state[key].numpy(), atol=1e-6)


def test_the_hub_is_not_asked_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        WeightsError, match="HF_HUB_OFFLINE is set, and the hub's cache holds no timm/resnet10t"
    ):
        registry.make("hovernet", HOVER | {"weights": "hub"}).fingerprint()


def test_a_hub_that_refuses(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def refuse(repository, name):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match="The hub cannot be reached for timm/resnet10t.c3_in1k"):
        registry.make("hovernet", HOVER | {"weights": "hub"}).fingerprint()


def test_weights_that_cannot_be_used(tmp_path):
    published("resnet14t", tmp_path / "other.safetensors")
    torch.save({"a": torch.ones(1)}, tmp_path / "little.pt")
    torch.save(SimpleNamespace(a=1), tmp_path / "code.pt")
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "damaged.safetensors").write_bytes(b"no weights")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("other.safetensors", "does not fit the encoder: 2 faults"),
        ("little.pt", "unexpected: a"),
        ("code.pt", "is damaged, or holds more than weights"),
        ("list.pt", "holds no state dict"),
        ("damaged.safetensors", "is damaged"),
        ("empty", "holds no model.safetensors or pytorch_model.bin"),
        ("absent.pt", "There is no"),
    ):
        with pytest.raises(WeightsError, match=message):
            fitted("hovernet", HOVER, weights=str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("hovernet", {"encoder": "resnet10"}, "timm has no encoder resnet10. Did you mean resnet1"),
        ("hovernet", {"encoder": "resnet50.a1_in1k"}, "timm has no encoder resnet50.a1_in1k"),
        ("hovernet", {"encoder_settings": {"colour": 3}}, "timm cannot build resnet10t with .*colour"),
        (
            "hovernet",
            {"crop_px": 40},
            "crop_px is 40, which is no multiple of the 16 px .* Set crop_px to 32",
        ),
        ("cellvit", {"encoder": "resnet10t", "encoder_settings": {}}, "cellvit wants a vision transformer"),
        (
            "cellvit",
            {"encoder": "vit_small_patch14_dinov2", "encoder_settings": {}},
            "its patches have 14 px",
        ),
        ("cellvit", {"encoder": "test_vit", "encoder_settings": {"depth": 2}}, "2 levels, and 4 are needed"),
    ],
)
def test_encoders_that_cannot_be_used(name, params, message):
    given = HOVER if name == "hovernet" else SAM
    with pytest.raises(RecipeError, match=message):
        fitted(name, given | params)


def test_tiles_that_cannot_be_used():
    with pytest.raises(DataError, match="hovernet: there are no labelled tiles"):
        registry.make("hovernet", HOVER).fit(Discs(0), np.random.default_rng(0))


@pytest.mark.parametrize("package", ["timm", "mpire", "cellseg_models_pytorch"])
def test_packages_are_asked_for(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtraError, match=rf"{package} is not installed. pip install 'triptych\[nuclei\]'"
    ):
        fitted("hovernet", HOVER)
