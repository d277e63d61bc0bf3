"""Networks from files: what is read, what is refused, and how names are told apart."""

from hashlib import sha256

import pandas as pd
import pytest

from triptych.analyses import networks
from triptych.analyses.networks import Network, fingerprint, read_network, style
from triptych.core.errors import DataError, WeightsError

HEAD = "source,target,weight\n"


def write(folder, text, name="net.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_table_is_read_as_it_is(network, edges):
    found = read_network(network)
    pd.testing.assert_frame_equal(found.edges, edges)
    assert found.name == "invented.csv"


@pytest.mark.parametrize(("ending", "separator"), [(".tsv", "\t"), (".txt", "\t"), (".CSV", ",")])
def test_endings_say_what_separates(edges, tmp_path, ending, separator):
    edges.to_csv(tmp_path / f"net{ending}", index=False, sep=separator)
    pd.testing.assert_frame_equal(read_network(str(tmp_path / f"net{ending}")).edges, edges)


def test_other_columns_an_index_and_a_mark_of_order_do_not_matter(edges, tmp_path):
    path = tmp_path / "net.csv"
    edges.rename(columns={"p_value": "padj"}).assign(more="x").to_csv(path, encoding="utf-8-sig")
    pd.testing.assert_frame_equal(read_network(str(path)).edges, edges)


def test_a_gene_called_na_is_a_gene(tmp_path):
    assert list(read_network(write(tmp_path, HEAD + "p,NA,1\np,nan,2\n")).edges["target"]) == ["NA", "nan"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,gene,w\na,b,1\n", "2 faults\n.*no column target.*\n.*no column weight"),
        ("source,target,wieght\na,b,1\n", "no column weight. Did you mean wieght"),
        (HEAD, "it has no rows"),
        (HEAD + "a,b,1\na,b,2\n", "1 rows repeat a pair of source and target, e.g. a–b"),
        (HEAD + "a,b,inf\na,c,x\na,d,\n", "no finite numbers: 'inf', 'x', ''"),
        (HEAD + " ,b,1\na,,2\n", "2 faults\n.*no source.*\n.*no target"),
        ("source,target,weight,p_value\na,b,1,2\n", "values of p_value are no numbers from 0 to 1"),
        ("", "cannot be read as a table"),
        (b"source,target,weight\n\xff\xfe,b,1\n", "cannot be read as a table"),
        (HEAD + 'a,"b,1\n', "cannot be read as a table"),
    ],
)
def test_what_is_no_network_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_network(write(tmp_path, text))


def test_a_file_that_is_not_there_or_not_plain(tmp_path):
    for path in (str(tmp_path / "no.csv"), "progeny-human.csv", "https://example.org/net.csv"):
        with pytest.raises(WeightsError, match="no network file .*decoupler.op.progeny"):
            read_network(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(WeightsError, match="no network file"):
        read_network(str(tmp_path / "folder.csv"))
    with pytest.raises(WeightsError, match="no network file|cannot be read"):
        read_network("a\0b.csv")
    with pytest.raises(DataError, match="must end in .csv or .tsv or .txt"):
        read_network(write(tmp_path, "x", "net.csv.gz"))


def test_a_file_that_is_too_large_is_not_read(network, monkeypatch):
    monkeypatch.setattr(networks, "LARGEST", 10)
    with pytest.raises(WeightsError, match="has more than 0 MiB"):
        read_network(network)


def test_the_fingerprint_is_of_the_content(network, tmp_path):
    with open(network, "rb") as file:  # noqa: PTH123
        content = file.read()
    assert fingerprint(network) == sha256(content).hexdigest()
    assert fingerprint(write(tmp_path, content, "other.csv")) == fingerprint(network)
    assert fingerprint(write(tmp_path, content + b"\n", "other.csv")) != fingerprint(network)
    with pytest.raises(WeightsError):
        fingerprint(str(tmp_path / "no.csv"))


def test_the_top_is_by_p_value_else_by_weight(edges):
    whole = Network("net", edges)
    assert whole.top(0) is whole
    by_p = whole.top(2).edges.groupby("source")["target"].apply(list)
    assert by_p["rim signal"] == ["GENE5", "GENE6"]
    by_weight = (
        Network("net", edges.drop(columns="p_value")).top(2).edges.groupby("source")["target"].apply(list)
    )
    assert by_weight["rim signal"] == ["GENE8", "GENE9"]
    assert by_weight["idle"] == ["GENE30", "GENE31"]  # all the same: the order of the file


def test_targets_within_the_genes(edges):
    found, left = Network("net", edges).within([f"GENE{i}" for i in range(2, 60)], 5)
    assert left == ["core signal"]
    assert set(found.edges["source"]) == {"rim signal", "stroma signal", "idle"}


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        (["ENSG00000197971", "ENSG00000123560"],
         r"none of its 35 targets is among the 2 genes. The genes are Ensembl ids \(ENSG00000197971\), "
         r"the targets symbols \(GENE0\)"),
        (["ENSMUSG00000197971.3"], r"Ensembl ids with versions \(ENSMUSG00000197971.3\)"),
        (["4155"], r"Entrez ids \(4155\)"),
        (["Gene0", "Gene1"], "They differ by case only"),
        (["GENE0", "GENE5", "GENE6"], "no source has 5 targets among the 3 genes; most: 2. Lower"),
    ],
)  # fmt: skip
def test_names_that_do_not_meet_are_explained(edges, genes, message):
    with pytest.raises(DataError, match=message):
        Network("net", edges).within(genes, 5)


def test_styles_are_of_the_majority():
    assert style(["MBP", "ENSG00000197971", "PLP1"]) == "symbols (MBP)"
    assert style([]) == "none"
