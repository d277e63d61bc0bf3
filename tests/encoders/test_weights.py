"""Weights are found, read as data, digested, and fitted without a gap; each refusal says what to do."""

import contextlib
import hashlib
import os
import pickle  # noqa: TID251
import random
import socket
import sys
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from safetensors.torch import save_file

from triptych.core.errors import MissingExtraError, WeightsError
from triptych.encoders import weights as store
from triptych.encoders.card import Card

FACTS = {"name": "demo", "dimension": 2, "licence": "MIT", "cite": "10.1/x"}
OPEN = Card(source="owner/demo", gated=False, **FACTS)
GATED = Card(source="owner/demo", gated=True, **FACTS)
ELSEWHERE = Card(source="https://example.org/demo", gated=False, **FACTS)
FILES = ("model.safetensors", "pytorch_model.bin")
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


@pytest.fixture
def no_socket(monkeypatch):
    def refuse(*_):
        raise RuntimeError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and a function that puts a file there as the hub's own client would."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(name, content=b"cached"):
        repository = tmp_path / "hub" / "models--owner--demo"
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text("abc")
        (repository / "snapshots" / "abc").mkdir(parents=True, exist_ok=True)
        (repository / "snapshots" / "abc" / name).write_bytes(content)

    return put


@pytest.fixture
def hub_says(monkeypatch, hub_cache):
    """Let the download of each file name give a path or raise."""

    def answer(answers):
        def download(repository, name):
            assert repository == "owner/demo"
            if isinstance(answers[name], Exception):
                raise answers[name]
            return answers[name]

        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)

    return answer


def http(cls, message="no"):
    response = SimpleNamespace(headers={}, request=None, status_code=403)
    return cls(message, response=response)


def linear():
    with torch.device("meta"):
        return torch.nn.Linear(3, 2)


# finding


def test_a_file_is_taken_whatever_its_name(tmp_path):
    (tmp_path / "mine.bin").write_bytes(b"x")
    assert store.find(str(tmp_path / "mine.bin"), OPEN, *FILES) == tmp_path / "mine.bin"


def test_a_folder_gives_the_preferred_file(tmp_path):
    (tmp_path / FILES[1]).write_bytes(b"x")
    assert store.find(str(tmp_path), OPEN, *FILES).name == FILES[1]
    (tmp_path / FILES[0]).write_bytes(b"x")
    assert store.find(str(tmp_path), OPEN, *FILES).name == FILES[0]


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pth").write_bytes(b"x")
    assert store.find("~/w.pth", OPEN, *FILES) == tmp_path / "w.pth"


def test_no_such_path():
    message = (
        "there is no /nowhere/w.pth. Download them from https://huggingface.co/owner/demo and set weights"
    )
    with pytest.raises(WeightsError, match=message):
        store.find("/nowhere/w.pth", OPEN, *FILES)


def test_a_folder_without_weights(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(
        WeightsError, match=r"no model.safetensors or pytorch_model.bin. It holds: notes.txt\."
    ):
        store.find(str(tmp_path), OPEN, *FILES)


def test_weights_that_are_not_on_the_hub(no_socket):
    with pytest.raises(WeightsError, match="not on the hub. Download them from https://example.org/demo and"):
        store.find("hub", ELSEWHERE, *FILES)


# the hub


@pytest.mark.parametrize("value", ["1", "true", "ON", "yes"])
def test_offline_and_not_cached_opens_no_socket(hub_cache, no_socket, monkeypatch, value):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set, and the hub's cache holds no owner/demo"):
        store.find("hub", OPEN, *FILES)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_what_is_cached_needs_no_socket(hub_cache, no_socket, monkeypatch, offline):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    hub_cache(FILES[1])
    assert store.find("hub", OPEN, *FILES).read_bytes() == b"cached"
    hub_cache(FILES[0], b"preferred")
    assert store.find("hub", OPEN, *FILES).read_bytes() == b"preferred"


def test_the_next_name_is_tried_when_the_hub_has_no_such_file(hub_says, tmp_path):
    hub_says({FILES[0]: EntryNotFoundError("no"), FILES[1]: str(tmp_path / "got.bin")})
    assert store.find("hub", OPEN, *FILES) == tmp_path / "got.bin"
    hub_says(dict.fromkeys(FILES, EntryNotFoundError("no")))
    with pytest.raises(
        WeightsError, match="demo: owner/demo holds no model.safetensors or pytorch_model.bin"
    ):
        store.find("hub", OPEN, *FILES)


def test_gated_weights_say_how_to_ask(hub_says):
    hub_says({FILES[0]: http(GatedRepoError)})
    with pytest.raises(
        WeightsError, match="is gated. Ask for access at https://huggingface.co/owner/demo, then"
    ):
        store.find("hub", GATED, *FILES)
    with pytest.raises(WeightsError, match="huggingface-cli login"):
        store.find("hub", GATED, *FILES)


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("no network"), OfflineModeIsEnabled("off")])
def test_a_hub_out_of_reach(hub_says, error):
    hub_says({FILES[0]: error})
    with pytest.raises(WeightsError, match="the hub cannot be reached. Download them from"):
        store.find("hub", OPEN, *FILES)


@pytest.mark.parametrize("error", [http(HfHubHTTPError, "503 busy\nlater"), OSError("disk full")])
def test_any_other_trouble_with_the_hub_is_told(hub_says, error):
    hub_says({FILES[0]: error})
    with pytest.raises(
        WeightsError, match="the hub did not give model.safetensors: (503 busy|disk full). Down"
    ):
        store.find("hub", OPEN, *FILES)


def test_the_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'triptych\[images\]'"):
        store.find("hub", OPEN, *FILES)


# digesting


def test_fingerprint_is_the_digest_of_the_bytes(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    assert store.fingerprint(one) == store.fingerprint(two) == hashlib.sha256(b"abc").hexdigest()
    two.write_bytes(b"abd")
    both = hashlib.sha256("".join(hashlib.sha256(b).hexdigest() for b in (b"abc", b"abd")).encode())
    assert store.fingerprint(one, two) == both.hexdigest() != store.fingerprint(two, one)


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    before = store.fingerprint(path)
    path.write_bytes(b"abd")  # of the same size
    os.utime(path, ns=(1, 2))
    assert store.fingerprint(path) != before


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "w"
    path.write_bytes(b"once")
    before = store.fingerprint(path)
    monkeypatch.setattr(hashlib, "sha256", None)
    assert store.fingerprint(path) == before


# reading


def test_both_formats_give_the_same(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    for name in ("b.bin", "b.pt", "b.pth"):
        torch.save(STATE, tmp_path / name)
    for path in sorted(tmp_path.iterdir()):
        found = store.read(path)
        assert found.keys() == STATE.keys()
        assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_a_wrapped_state_dict_is_unwrapped(tmp_path, wrapper):
    torch.save(
        {wrapper: {f"module.{key}": value for key, value in STATE.items()}, "epoch": 3}, tmp_path / "w.pt"
    )
    assert store.read(tmp_path / "w.pt").keys() == STATE.keys()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [torch.save, lambda held, path: path.write_bytes(pickle.dumps(held))])
def test_nothing_is_unpickled(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    write({"weight": Evil()}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="is damaged, or holds more than weights"):
        store.read(tmp_path / "w.pt")
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"half"])
def test_a_damaged_file(tmp_path, name, content):
    path = tmp_path / name
    if content == b"half":
        (save_file if name.endswith("safetensors") else torch.save)(STATE, path)
        content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=f"{name} is damaged, or holds more than weights.*Get the file again"
    ):
        store.read(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("old", [False, True])
def test_however_a_file_is_damaged_it_is_said(tmp_path, old):
    path, rng = tmp_path / "w.pt", random.Random(0)
    torch.save(STATE, path, _use_new_zipfile_serialization=not old)
    whole = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(whole[: rng.choice([len(whole), rng.randrange(1, len(whole))])])
        for _ in range(rng.randint(1, 5)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(WeightsError):
            assert all(isinstance(value, torch.Tensor) for value in store.read(path).values())


@pytest.mark.parametrize("held", [[1, 2], {"weight": 3}, torch.ones(2), {"state_dict": 3}])
def test_a_file_without_a_state_dict(tmp_path, held):
    torch.save(held, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="holds no state dict"):
        store.read(tmp_path / "w.pt")


# fitting


def test_a_model_gets_its_weights(tmp_path):
    model = linear()
    store.fill(model, {**STATE, "head.weight": torch.ones(1)}, tmp_path, beside=("head.",))
    assert torch.equal(model.weight, STATE["weight"])
    assert not model.training
    assert not model.weight.requires_grad


def test_half_precision_becomes_single(tmp_path):
    model = linear()
    store.fill(model, {key: value.half() for key, value in STATE.items()}, tmp_path, beside=())
    assert model.weight.dtype == torch.float32


def test_counts_of_batches_may_be_missing(tmp_path):
    with torch.device("meta"):
        model = torch.nn.BatchNorm1d(2)
    state = torch.nn.BatchNorm1d(2).state_dict()
    del state["num_batches_tracked"]
    store.fill(model, state, tmp_path, beside=())
    assert model(torch.ones(3, 2)).shape == (3, 2)


def test_a_state_dict_that_does_not_fit_tells_everything(tmp_path):
    state = {"weight": torch.ones(2, 4), **{f"block.{i}": torch.ones(1) for i in range(6)}}
    with pytest.raises(WeightsError) as caught:
        store.fill(linear(), state, tmp_path / "w.pt", beside=())
    message = str(caught.value)
    assert "w.pt does not fit the model: 3 faults" in message
    assert "missing: bias." in message
    assert "unexpected: block.0, block.1, block.2, block.3 and 2 more." in message
    assert "of another shape: weight (2×4 for 2×3)." in message
    assert "It holds the weights of another model." in message
