"""The files of a Geneformer: found, of one release, whole; each refusal says what to do."""

import json
import pickle  # noqa: TID251
import shutil

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file

from triptych.core.errors import WeightsError
from triptych.core.protocols import Counts
from triptych.encoders.genes.geneformer import Geneformer

pytest.importorskip("transformers", reason="the extra foundation is not installed")
STEMS = ("token_dictionary", "gene_median_dictionary", "gene_name_id_dict")
HUB = "geneformer/gene_dictionaries_30m"


def counts():
    matrix = sp.csr_matrix(np.random.default_rng(0).poisson(0.8, (9, 40)))
    return Counts(matrix, np.array([f"g{i}" for i in range(40)]), np.zeros(9, int))


def encode(folder, **params):
    return Geneformer(weights=str(folder), **params).encode(counts(), np.random.default_rng(0))


@pytest.fixture
def v1(published):
    return published("geneformer")[1]


@pytest.fixture
def copy(v1, tmp_path):
    return shutil.copytree(v1, tmp_path / "clone" / "model")


def change(folder, name, **values):
    held = json.loads((folder / name).read_text()) | values
    (folder / name).write_text(json.dumps({k: v for k, v in held.items() if v is not None}))


def move(folder, to, *, end="", suffix=".json"):
    """Take the dictionaries elsewhere, under another ending."""
    to.mkdir(parents=True, exist_ok=True)
    for stem in STEMS:
        held = json.loads((folder / f"{stem}.json").read_text())
        (folder / f"{stem}.json").unlink()
        path = to / f"{stem}{end}{suffix}"
        if suffix == ".pkl":
            path.write_bytes(pickle.dumps(held, 4))
        elif suffix == ".json":
            path.write_text(json.dumps(held))
        else:
            path.write_text("".join(f"{key},{value}\n" for key, value in held.items()))


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The hub's cache holds what is put there, and nothing else is to be had."""
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = tmp_path / "hub" / "models--ctheodoris--Geneformer"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    return snapshot


# where they lie


@pytest.mark.parametrize("suffix", [".json", ".csv", ".pkl"])
@pytest.mark.parametrize("end", ["", "_gc30M"])
def test_dictionaries_in_any_form_give_the_same_bits(v1, copy, suffix, end):
    move(copy, copy, end=end, suffix=suffix)
    assert np.array_equal(encode(copy), encode(v1))


def test_dictionaries_in_a_folder_of_their_own(v1, copy, tmp_path):
    move(copy, tmp_path / "elsewhere")
    assert np.array_equal(encode(copy, dictionaries=str(tmp_path / "elsewhere")), encode(v1))


def test_a_clone_of_the_hub(v1, copy):
    move(copy, copy.parent / HUB, end="_gc30M", suffix=".pkl")
    assert np.array_equal(encode(copy), encode(v1))


def test_the_cache_of_the_hub(v1, copy, hub_cache):
    move(copy, hub_cache / HUB, end="_gc30M", suffix=".pkl")
    mapping = {f"ENSG{i:011d}": f"ENSG{i:011d}" for i in range(40)}
    (hub_cache / HUB / "ensembl_mapping_dict_gc30M.pkl").write_bytes(pickle.dumps(mapping))
    shutil.copytree(copy, hub_cache / "Geneformer-V1-10M")
    assert np.array_equal(encode("hub"), encode(v1))
    assert np.array_equal(encode(copy, dictionaries="hub"), encode(v1))
    assert Geneformer().fingerprint() == Geneformer(weights=str(copy), dictionaries="hub").fingerprint()


def test_offline_and_not_in_the_cache(hub_cache):
    message = (
        "HF_HUB_OFFLINE is set, .*ctheodoris/Geneformer. Unset it once .*huggingface.co/ctheodoris/Geneformer"
    )
    with pytest.raises(WeightsError, match=message):
        encode("hub")


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(WeightsError, match="geneformer: there is no .*nowhere. Download them from"):
        encode(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="holds no model.safetensors or pytorch_model.bin"):
        encode(tmp_path)


def test_no_configuration(copy):
    (copy / "config.json").unlink()
    with pytest.raises(WeightsError, match="holds no config.json"):
        encode(copy)


def test_no_dictionaries(copy):
    (copy / "gene_median_dictionary.json").unlink()
    with pytest.raises(
        WeightsError, match="holds token_dictionary.json and no gene_median_dictionary of .json"
    ):
        encode(copy)
    (copy / "token_dictionary.json").unlink()
    with pytest.raises(WeightsError, match="no token_dictionary_gc30M of .* or to hub"):
        encode(copy)
    with pytest.raises(WeightsError, match="no token_dictionary_gc30M of .* in .*elsewhere. Set"):
        encode(copy, dictionaries=str(copy / "elsewhere"))


def test_every_file_decides_the_fingerprint(v1, copy, tmp_path):
    print_of = Geneformer(weights=str(copy)).fingerprint
    assert print_of() == Geneformer(weights=str(v1)).fingerprint()
    seen = {print_of()}
    for name in ("config.json", *(f"{stem}.json" for stem in STEMS)):
        change(copy, name, more="1")
        seen.add(print_of())
    (copy / "ensembl_mapping_dict.json").write_text('{"a": "b"}')
    seen.add(print_of())
    save_file({"a": torch.ones(2)}, copy / "model.safetensors")
    seen.add(print_of())
    (tmp_path / "pairs.csv").write_text("a,b\n")
    seen.add(Geneformer(weights=str(copy), orthologues=str(tmp_path / "pairs.csv")).fingerprint())
    assert len(seen) == 8


# whether they belong together


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("token_dictionary.json", {"new": 42}, "it has 43 tokens, and the model's config.json says 42"),
        ("token_dictionary.json", {"<mask>": 0}, "should number its 42 tokens 0, 1, 2"),
        ("token_dictionary.json", {"<mask>": 1.5}, "should number its 42 tokens 0, 1, 2"),
        ("token_dictionary.json", {"<pad>": 1, "<mask>": 0}, "<pad> should be token 0"),
        ("token_dictionary.json", {"<mask>": None, "<cls>": 1}, "it has a <cls>, so is of another version"),
        ("gene_median_dictionary.json", {"ENSG00000000003": None}, "no median for 1 .*: ENSG00000000003"),
        ("gene_median_dictionary.json", {"ENSG00000000003": 0}, "no median for 1 of its genes"),
        ("gene_median_dictionary.json", {"ENSG00000000003": float("nan")}, "no median for 1 of its genes"),
        ("config.json", {"vocab_size": 25426}, "42 tokens, and the model's config.json says 25426"),
        ("config.json", {"max_position_embeddings": 512}, "takes 512 tokens, and v1 would give it 2048"),
        ("config.json", {"num_hidden_layers": 2}, "unexpected: encoder.layer.2"),
        ("config.json", {"num_hidden_layers": 4}, "missing: encoder.layer.3"),
        ("config.json", {"intermediate_size": 31}, "of another shape: encoder.layer.0.intermediate"),
        ("config.json", {"hidden_size": "16"}, "hidden_size should be a count, and is '16'"),
        ("config.json", {"num_hidden_layers": None}, "num_hidden_layers should be a count, and is None"),
        ("config.json", {"num_attention_heads": 3}, "should divide hidden_size"),
        ("config.json", {"model_type": "gpt2"}, "model_type is 'gpt2'; only bert is read"),
        ("config.json", {"position_embedding_type": "relative_key"}, "only absolute is read"),
        ("config.json", {"hidden_act": "os.system"}, "hidden_act should be one of relu"),
        ("config.json", {"hidden_act": ["relu"]}, "hidden_act should be one of relu"),
        ("config.json", {"layer_norm_eps": "1"}, "layer_norm_eps should be a small number"),
    ],
)  # fmt: skip
def test_files_that_do_not_belong_together(copy, name, values, message):
    change(copy, name, **values)
    with pytest.raises(WeightsError, match=message):
        encode(copy)


def test_all_faults_are_said_together(copy):
    change(copy, "token_dictionary.json", **{"<pad>": 1, "<mask>": 0, "<eos>": 42})
    with pytest.raises(
        WeightsError, match="(?s)3 faults.*43 tokens.*token 0.*<eos>.*one release of Geneformer"
    ):
        encode(copy)


def test_the_wrong_version(copy):
    with pytest.raises(WeightsError, match="(?s)it has no <cls>, .*it has no <eos>"):
        encode(copy, version="v2")


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "should hold names and values")])
def test_a_damaged_configuration(copy, text, message):
    (copy / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=f"config.json {message}"):
        encode(copy)


def test_damaged_weights(copy):
    whole = (copy / "model.safetensors").read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"x" + whole[1:]):
        (copy / "model.safetensors").write_bytes(data)
        with pytest.raises(WeightsError, match="is damaged, or holds more than weights"):
            encode(copy)


def test_weights_without_a_part(copy):
    state = load_file(copy / "model.safetensors")
    gone = "bert.encoder.layer.1.output.dense.weight"
    save_file({k: v for k, v in state.items() if k != gone}, copy / "model.safetensors")
    with pytest.raises(WeightsError, match="missing: encoder.layer.1.output.dense.weight"):
        encode(copy)


def test_weights_that_run_something(copy, tmp_path):
    class Runs:
        def __reduce__(self):
            import os

            return os.system, (f"touch {tmp_path / 'ran'}",)

    (copy / "model.safetensors").unlink()
    torch.save({"bert.a": Runs()}, copy / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="is damaged, or holds more than weights"):
        encode(copy)
    assert not (tmp_path / "ran").exists()


def test_transformers_is_an_extra(v1, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ImportError, match="triptych\\[foundation\\]"):
        encode(v1)
