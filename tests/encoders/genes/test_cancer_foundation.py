"""CancerFoundation with random weights in the published format, against torch and plain loops."""

import json
import shutil
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import save_file

from triptych.core.errors import DataError, RecipeError, TriptychWarning, WeightsError
from triptych.core.protocols import Counts
from triptych.encoders.genes.cancer_foundation import CancerFoundation
from triptych.encoders.genes.cancer_foundation_tokens import Writing, binned, sequences


def some_counts(n=21, genes=40, names=None, seed=0):
    matrix = sp.csr_matrix(np.random.default_rng(seed).poisson(0.8, (n, genes)))
    names = [f"g{i}" for i in range(genes)] if names is None else names
    return Counts(matrix, np.array(names), np.zeros(n, int))


@pytest.fixture
def released(published):
    return published("cancer-foundation")


@pytest.fixture
def copy(released, tmp_path):
    """A copy of the checkpoint that a test may change."""
    return shutil.copytree(released[1], tmp_path / "checkpoint")


def change(folder, name, **values):
    held = json.loads((folder / name).read_text())
    held.update(values)
    (folder / name).write_text(json.dumps({k: v for k, v in held.items() if v is not None}))


def encode(folder, counts=None, **params):
    encoder = CancerFoundation(weights=str(folder), **params)
    return encoder.encode(counts or some_counts(), np.random.default_rng(0))


def naive(model, folder, counts, *, length=1200, bins=51):
    """One observation after the other, one gene after the other, with torch's own transformer."""
    vocabulary = json.loads((folder / "vocab.json").read_text())
    gene, value = model["gene_encoder"], model["value_encoder"]
    rows = []
    for row in counts.matrix.toarray():
        seen = [i for i in np.flatnonzero(row) if counts.genes[i] in vocabulary]
        x = np.log1p(1e4 * row / row.sum())[seen]
        token = np.array([vocabulary[counts.genes[i]] for i in seen])
        shown = by_hand(x, bins) if bins else x
        order = sorted(range(len(x)), key=lambda i: (-x[i], token[i]))[: length - 1]
        genes = torch.tensor([vocabulary["<cls>"], *token[order]])
        values = torch.tensor([-2.0, *shown[order]], dtype=torch.float32)
        hidden = value["linear2"](torch.relu(value["linear1"](values[:, None])))
        tokens = gene["enc_norm"](gene["embedding"](genes)) + value["norm"](hidden)
        with torch.no_grad():
            rows.append(model["encoder"](tokens[None])[0, 0].numpy())
    return np.array(rows)


def by_hand(x, bins):
    """numpy's quantiles as edges, and the middle of the bins that a value may belong to."""
    edges = np.quantile(x, np.linspace(0, 1, bins - 1))
    return np.ceil((np.digitize(x, edges) + np.digitize(x, edges, right=True)) / 2).astype(int)


# the arithmetic


@pytest.mark.parametrize("length", [1200, 8, 2])
def test_equals_a_naive_loop(released, length):
    model, folder = released
    found = encode(folder, max_length=length, unit_length=False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, naive(model, folder, some_counts(), length=length), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("bins", [None, 0])
def test_continuous_values_where_the_checkpoint_says_so(released, copy, bins):
    change(copy, "args.json", n_bins=bins)
    found = encode(copy, unit_length=False)
    np.testing.assert_allclose(found, naive(released[0], copy, some_counts(), bins=0), rtol=1e-4, atol=1e-5)


def test_vectors_have_length_one(released):
    found, raw = (encode(released[1], unit_length=unit) for unit in (True, False))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found * np.linalg.norm(raw, axis=1, keepdims=True), raw, rtol=1e-5, atol=1e-6)


def test_same_input_same_bits_and_no_random_numbers(released):
    before = torch.get_rng_state()
    assert encode(released[1]).tobytes() == encode(released[1]).tobytes()
    assert torch.equal(before, torch.get_rng_state())


def test_a_row_does_not_depend_on_the_others(released):
    counts = some_counts(n=40)
    whole = encode(released[1], counts)
    alone = [
        encode(released[1], Counts(counts.matrix[i], counts.genes, counts.batch[i : i + 1])) for i in range(6)
    ]
    np.testing.assert_allclose(whole[:6], np.concatenate(alone), atol=1e-5)


def test_order_of_columns_and_stored_zeros_change_nothing(released):
    counts, order = some_counts(), np.random.default_rng(1).permutation(40)
    matrix = counts.matrix[:, order].tocoo()
    stored = sp.csr_matrix(
        (np.append(matrix.data, 0), (np.append(matrix.row, 0), np.append(matrix.col, 5))), matrix.shape
    )
    moved = Counts(stored, counts.genes[order], counts.batch)
    assert np.array_equal(encode(released[1], counts), encode(released[1], moved))


def test_a_row_without_counts_is_the_class_token_alone(released):
    counts = some_counts()
    empty = counts.matrix.tolil()
    empty[3] = 0
    found = encode(released[1], Counts(empty.tocsr(), counts.genes, counts.batch))
    assert np.isfinite(found).all()
    other = encode(released[1], Counts(empty.tocsr()[[3, 0]], counts.genes, counts.batch[:2]))
    np.testing.assert_allclose(found[3], other[0], atol=1e-6)


@pytest.mark.parametrize("bins", [3, 5, 51])
def test_bins_are_those_of_numpy(bins):
    rng = np.random.default_rng(bins)
    rows = [np.log1p(rng.poisson(2.0, size) + 1.0) for size in (1, 2, 7, 60, 300)] + [
        rng.normal(size=50) ** 2
    ]
    size = np.array([len(row) for row in rows])
    falling = np.zeros((len(rows), size.max()))
    for i, row in enumerate(rows):
        falling[i, : size[i]] = -np.sort(-row)
    found = binned(falling, size, bins)
    for i, row in enumerate(rows):
        assert np.array_equal(found[i, : size[i]], by_hand(-np.sort(-row), bins))
        assert found[i, : size[i]].min() >= 1
        assert found[i, : size[i]].max() <= bins - 1


def test_sequences_fall_by_value_then_rise_by_token():
    rows = sp.csr_matrix(np.array([[1.0, 3.0, 3.0, 0.0, 2.0], [0.0, 0.0, 0.0, 7.0, 0.0]]))
    how = Writing(np.array([9, 8, 5, 6, 7]), start=1, pad=0, bins=0, length=4)
    genes, values, there = sequences(rows, how)
    assert genes.tolist() == [[1, 5, 8, 7], [1, 6, 0, 0]]
    assert values.tolist() == [[-2, 3, 3, 2], [-2, 7, -2, -2]]
    assert there.tolist() == [[True] * 4, [True, True, False, False]]


# the checkpoint


def test_every_file_decides_the_fingerprint(released, copy):
    print_of = CancerFoundation(weights=str(copy)).fingerprint
    assert print_of() == CancerFoundation(weights=str(released[1] / "model.pth")).fingerprint()
    for name, change_to in (("args.json", {"dropout": 0.5}), ("vocab.json", {"new": 43})):
        before = print_of()
        change(copy, name, **change_to)
        assert print_of() != before


def test_names_as_training_writes_them_and_safetensors(released, copy):
    model, folder = released
    state = {name.replace("self_attn.", "self_attn.self_attn."): t for name, t in model.state_dict().items()}
    (copy / "model.pth").unlink()
    save_file(state, copy / "model.safetensors")
    assert np.array_equal(encode(copy), encode(folder))


def test_weights_that_are_not_there():
    message = (
        "not on the hub. Download them from https://github.com/BoevaLab/CancerFoundation and set weights"
    )
    with pytest.raises(WeightsError, match=message):
        CancerFoundation().encode(some_counts(), np.random.default_rng(0))


def test_files_missing_beside_the_weights(copy):
    (copy / "args.json").unlink()
    (copy / "vocab.json").unlink()
    with pytest.raises(
        WeightsError, match="2 faults\n.*no args.json.\n.*no vocab.json. Unpack the whole download"
    ):
        encode(copy)
    with pytest.raises(WeightsError, match="no args.json"):
        CancerFoundation(weights=str(copy)).fingerprint()


def test_an_incomplete_file_of_weights_is_refused(released, copy):
    state = {k: v for k, v in released[0].state_dict().items() if not k.startswith("encoder.layers.1.norm1")}
    torch.save(state, copy / "model.pth")
    with pytest.raises(
        WeightsError, match="missing: encoder.layers.1.norm1.weight, encoder.layers.1.norm1.bias"
    ):
        encode(copy)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("args.json", {"nlayers": 0}, "nlayers should be a count"),
        ("args.json", {"embsize": "16"}, "embsize should be a count"),
        ("args.json", {"nheads": None}, "nheads should be a count"),
        ("args.json", {"nheads": 3}, "nheads should divide embsize"),
        ("args.json", {"n_bins": 2}, "n_bins should be above 2, or 0"),
        ("args.json", {"norm_scheme": "pre"}, "norm_scheme is pre; only post is built here"),
        ("args.json", {"input_emb_style": "category"}, "input_emb_style is category; only continuous"),
        ("args.json", {"d_hid": 31}, "of another shape: encoder.layers.0.linear1.weight"),
        ("vocab.json", {"<cls>": None}, "has no <cls>"),
        ("vocab.json", {"<pad>": 99}, "should number its 43 tokens"),
        ("vocab.json", {"g0": "3"}, "should number its 43 tokens"),
    ],
)
def test_a_checkpoint_that_is_something_else(copy, name, values, message):
    change(copy, name, **values)
    with pytest.raises(WeightsError, match=message):
        encode(copy)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "should hold names and values")])
def test_a_damaged_vocabulary(copy, text, message):
    (copy / "vocab.json").write_text(text)
    with pytest.raises(WeightsError, match=f"vocab.json {message}"):
        encode(copy)


# the data


def test_genes_of_another_kind_are_refused(released):
    names = [f"ENSG{i}" for i in range(38)] + ["g0", "g1"]
    message = (
        r"2 of 40 genes \(5%\) are in its vocabulary. It knows e.g. g0, g1, g10; the data have e.g. ENSG0"
    )
    with pytest.raises(DataError, match=message):
        encode(released[1], some_counts(names=names))


def test_unknown_genes_are_left_out_and_said(released):
    model, folder = released
    counts = some_counts(names=[f"g{i}" for i in range(30)] + [f"x{i}" for i in range(9)] + ["<pad>"])
    with pytest.warns(
        TriptychWarning, match=r"30 of 40 genes \(75%\) are in its vocabulary; the others are left"
    ):
        found = encode(folder, counts, unit_length=False)
    counts.genes[39] = "x9"  # the naive loop knows no special tokens
    np.testing.assert_allclose(found, naive(model, folder, counts), rtol=1e-4, atol=1e-5)


def test_nothing_is_said_when_all_are_known(released):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(released[1])


def test_a_gene_with_two_columns(released):
    with pytest.raises(DataError, match="genes with several columns: g0. Add their counts up"):
        encode(released[1], some_counts(names=["g0", *(f"g{i}" for i in range(39))]))


def test_parameters_out_of_range():
    from triptych.encoders import registry

    with pytest.raises(RecipeError, match="max_length must be at least 2"):
        registry.make("cancer-foundation", {"max_length": 1})
    with pytest.raises(RecipeError, match="weights must be a folder or a file"):
        registry.make("cancer-foundation", {"weights": ""})
