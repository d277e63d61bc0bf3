"""Geneformer with random weights as the hub has them, against transformers' own model and plain loops."""

import json
import pickle  # noqa: TID251
import shutil
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import load_file

from triptych.core.errors import DataError, RecipeError, TriptychWarning, WeightsError
from triptych.core.progress import listening
from triptych.core.protocols import Counts
from triptych.encoders import registry
from triptych.encoders.genes import geneformer
from triptych.encoders.genes.geneformer import Geneformer

transformers = pytest.importorskip("transformers", reason="the extra foundation is not installed")
IDS = [f"ENSG{i:011d}" for i in range(40)]


def some_counts(n=21, genes=40, names=None, seed=0):
    matrix = sp.csr_matrix(np.random.default_rng(seed).poisson(0.8, (n, genes)))
    names = [f"g{i}" for i in range(genes)] if names is None else names
    return Counts(matrix, np.array(names), np.zeros(n, int))


@pytest.fixture
def v1(published):
    return published("geneformer")[1]


@pytest.fixture
def copy(v1, tmp_path):
    """A copy of the model that a test may change."""
    return shutil.copytree(v1, tmp_path / "model")


@pytest.fixture(scope="module")
def v2(tmp_path_factory):
    """Fine-tuned to classify, as torch.save writes it, and pickled dictionaries, as in a clone of the hub."""
    root = tmp_path_factory.mktemp("clone")
    folder, beside = root / "fine-tuned", root / "geneformer"
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 24}
    places = {"vocab_size": 44, "max_position_embeddings": 4096, "hidden_act": "relu"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        config = transformers.BertConfig(**sizes, **places, num_labels=3)
        model = transformers.BertForSequenceClassification(config)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    state = model.state_dict() | {"bert.embeddings.position_ids": torch.arange(4096)[None]}
    torch.save(state, folder / "pytorch_model.bin")
    beside.mkdir()
    tokens = {name: i for i, name in enumerate(["<pad>", "<mask>", "<cls>", "<eos>", *IDS])}
    medians = {name: np.float64([1.0, 2.0, 0.5][i % 3]) for i, name in enumerate(IDS)} | {"ENSG9": np.nan}
    mapping = {f"ENSG{i + 900:011d}": IDS[i] for i in range(40)}
    names = {f"g{i}": name for i, name in enumerate(IDS)}
    for stem, held in (
        ("token_dictionary", tokens), ("gene_median_dictionary", medians),
        ("ensembl_mapping_dict", mapping), ("gene_name_id_dict", names),
    ):  # fmt: skip
        (beside / f"{stem}_gc104M.pkl").write_bytes(pickle.dumps(held, 4))
    return folder


def encode(folder, counts=None, **params):
    encoder = Geneformer(weights=str(folder), **params)
    return encoder.encode(counts or some_counts(), np.random.default_rng(0))


def change(folder, name, **values):
    held = json.loads((folder / name).read_text()) | values
    (folder / name).write_text(json.dumps({k: v for k, v in held.items() if v is not None}))


def tokens_of(counts, first, length):
    """Tokens of one cell after the other, for medians 1, 2, ½, 1, …"""
    for row in counts.matrix.toarray():
        x = [(-(c / row.sum() * 1e4 / [1.0, 2.0, 0.5][i % 3]), i + first) for i, c in enumerate(row) if c]
        yield [token for _, token in sorted(x)][:length]


def states(model, tokens, layer):
    with torch.no_grad():
        given = torch.tensor([tokens])
        return model(given, output_hidden_states=True).hidden_states[layer][0].numpy()


# the arithmetic


@pytest.mark.parametrize("layer", [-1, -2, -3])
@pytest.mark.parametrize("length", [0, 6])
def test_v1_equals_the_library_on_one_cell_after_the_other(v1, layer, length):
    model = transformers.BertModel.from_pretrained(v1, add_pooling_layer=False).eval()
    counts = some_counts(n=12)
    found = encode(v1, counts, layer=layer, max_length=length)
    wanted = [states(model, t, layer).mean(0) for t in tokens_of(counts, 2, length or 2048)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("length", [0, 6])
def test_v2_equals_the_library_on_one_cell_after_the_other(v2, pooling, length):
    model = transformers.BertForSequenceClassification.from_pretrained(v2, weights_only=True).eval().bert
    counts, wanted = some_counts(n=12), []
    for tokens in tokens_of(counts, 4, (length or 4096) - 2):
        state = states(model, [2, *tokens, 3], -2)
        wanted.append(state[0] if pooling == "cls" else state[1:-1].mean(0))
    found = encode(v2, counts, version="v2", pooling=pooling, max_length=length)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_batches_change_nothing(v1, monkeypatch):
    counts, seen = some_counts(n=60), []
    whole = encode(v1, counts)
    monkeypatch.setattr(geneformer, "BUDGET", 50)
    with listening(lambda label, done, total: seen.append((label, done, total))):
        np.testing.assert_allclose(encode(v1, counts), whole, rtol=1e-5, atol=1e-5)
    assert seen[-1][:1] == ("geneformer",)
    assert seen[-1][1] == seen[-1][2] > 10


def test_same_input_same_bits_and_no_random_numbers(v1):
    before = torch.get_rng_state()
    assert encode(v1).tobytes() == encode(v1).tobytes()
    assert torch.equal(before, torch.get_rng_state())


def test_order_of_columns_and_stored_zeros_change_nothing(v1):
    counts, order = some_counts(), np.random.default_rng(1).permutation(40)
    matrix = counts.matrix[:, order].tocoo()
    stored = sp.csr_matrix(
        (np.append(matrix.data, 0), (np.append(matrix.row, 0), np.append(matrix.col, 5))), matrix.shape
    )
    moved = Counts(stored, counts.genes[order], counts.batch)
    assert np.array_equal(encode(v1, counts), encode(v1, moved))


def test_rows_without_known_genes_become_zeros_and_are_counted(v1):
    counts = some_counts()
    matrix = counts.matrix.toarray()
    matrix[[3, 5]] = 0
    with pytest.warns(TriptychWarning, match="2 of 21 observations have no count of a gene .* become zeros"):
        found = encode(v1, Counts(sp.csr_matrix(matrix), counts.genes, counts.batch))
    assert not found[[3, 5]].any()
    others = np.delete(np.arange(21), [3, 5])
    np.testing.assert_allclose(found[others], encode(v1)[others], rtol=1e-5, atol=1e-5)


# the genes


@pytest.mark.parametrize("version", ["", ".7"])
def test_ensembl_ids_do_as_well_as_symbols(v1, version):
    named = some_counts(names=[name + version for name in IDS])
    assert np.array_equal(encode(v1, named), encode(v1))


def test_ids_of_old_are_mapped_to_those_in_use(v2):
    old = some_counts(names=[f"ENSG{i + 900:011d}" for i in range(40)])
    assert np.array_equal(encode(v2, old, version="v2"), encode(v2, version="v2"))


def test_columns_of_one_gene_are_summed(v1):
    counts = some_counts()
    half = counts.matrix.toarray() // 2
    split = sp.csr_matrix(np.hstack([half, counts.matrix.toarray() - half]))
    twice = Counts(split, np.array([*counts.genes, *IDS]), counts.batch)
    assert np.array_equal(encode(v1, twice), encode(v1))


def test_genes_that_it_does_not_know_are_said_and_count_towards_the_totals(v1):
    """A cell's rank order does not change with its total, so the total is seen where ranks are cut out."""
    names = [f"g{i}" for i in range(30)] + [f"X{i}" for i in range(10)]
    counts = some_counts(names=names)
    part = counts.matrix[:, :30].sum() / counts.matrix.sum()
    message = rf"30 of 40 genes \(75%\), with {part:.0%} of the counts, .*; the others only count towards"
    with pytest.warns(TriptychWarning, match=message):
        found = encode(v1, counts)
    known = Counts(counts.matrix[:, :30], counts.genes[:30], counts.batch)
    np.testing.assert_allclose(found, encode(v1, known), rtol=1e-5, atol=1e-5)


def test_the_total_is_that_of_all_genes_measured(monkeypatch, v1):
    seen = []
    ranked = geneformer.scaled
    monkeypatch.setattr(
        geneformer, "scaled", lambda m, totals, medians: seen.append(totals) or ranked(m, totals, medians)
    )
    counts = some_counts(names=[f"g{i}" for i in range(30)] + [f"X{i}" for i in range(10)])
    with pytest.warns(TriptychWarning):
        encode(v1, counts)
    assert np.array_equal(seen[0], counts.matrix.toarray().sum(1))


def test_nothing_is_said_when_all_are_known(v1):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(v1)


def test_too_few_known_genes(v1):
    names = [f"X{i}" for i in range(37)] + ["g0", "g1", "g2"]
    message = (
        r"3 of 40 genes \(8%\).* It knows e.g. g0, g1, g2; the data have e.g. X0, X1, X2. Name the genes by"
    )
    with pytest.raises(DataError, match=message):
        encode(v1, some_counts(names=names))


def test_symbols_need_their_dictionary(copy):
    (copy / "gene_name_id_dict.json").unlink()
    with pytest.raises(
        DataError, match="0 of 40 genes .* Put gene_name_id_dict beside its other dictionaries"
    ):
        encode(copy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(copy, some_counts(names=IDS))


@pytest.mark.parametrize("name", ["ENSMUSG{:011d}.2", "Gene{}", "Abc{}rik"])
def test_mouse_genes_need_orthologues(v1, tmp_path, name):
    mouse = [name.format(i) for i in range(40)]
    with pytest.raises(DataError, match="another species: .* Set orthologues to a table"):
        encode(v1, some_counts(names=mouse))
    table = tmp_path / "pairs.tsv"
    table.write_text("mouse\thuman\n" + "".join(f"{m}\tg{i}\n" for i, m in enumerate(mouse)))
    found = encode(v1, some_counts(names=mouse), orthologues=str(table))
    assert np.array_equal(found, encode(v1))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.csv", None, "is not a file .csv or .tsv"),
        ("pairs.txt", "a,b\n", "is not a file .csv or .tsv"),
        ("pairs.csv", "a\nb\n", "cannot be read: it has no two columns"),
        ("pairs.csv", "Actb,g1\nActb,g2\nGad1,g3\n", "gives several genes to Actb. Keep one for each"),
    ],
)
def test_a_table_of_orthologues_that_is_none(v1, tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    for act in (encode, lambda *a, **k: Geneformer(weights=str(v1), **k).fingerprint()):
        with pytest.raises(DataError, match=message):
            act(v1, orthologues=str(tmp_path / name))


def test_counts_that_are_no_counts(v1):
    counts = some_counts()
    with pytest.raises(DataError, match="some counts are not whole numbers. Pass the raw counts"):
        encode(v1, Counts(counts.matrix * 0.5, counts.genes, counts.batch))
    with pytest.raises(DataError, match="some values are negative"):
        encode(v1, Counts(-counts.matrix, counts.genes, counts.batch))


# the parameters


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layer": 0}, "layer counts from the end"),
        ({"pooling": "cls"}, "pooling cls needs version v2"),
        ({"max_length": 2}, "max_length must be 0, or 3 to 2048 in v1"),
        ({"max_length": 2049}, "max_length must be 0, or 3 to 2048 in v1"),
        ({"max_length": 4097, "version": "v2"}, "3 to 4096 in v2"),
        ({"weights": ""}, "weights must be a folder, a file or hub"),
        ({"version": "v3"}, "version"),
    ],
)
def test_parameters_out_of_range(params, message):
    with pytest.raises(RecipeError, match=message):
        registry.make("geneformer", params)


def test_a_layer_that_is_not_there(v1):
    with pytest.raises(WeightsError, match="there is no layer -4 of 3"):
        encode(v1, layer=-4)


def test_torch_save_and_the_file_itself_do_as_well(v1, copy):
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert np.array_equal(encode(copy), encode(v1))
    assert np.array_equal(encode(copy / "pytorch_model.bin"), encode(v1))
