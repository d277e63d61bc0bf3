"""The marker file: the one that is shipped, what another may hold, and what is refused."""

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import yaml

from triptych.annotators.markers import PANNUKE, fingerprint, read_markers, shipped
from triptych.annotators.panel import panel_of
from triptych.core.errors import DataError, TriptychWarning, WeightsError
from triptych.core.protocols import Counts


def counts_of(genes):
    genes = np.array(genes)
    return Counts(sp.csr_matrix(np.ones((2, len(genes)))), genes, np.zeros(2, int))


def changed(markers, change):
    """The file's content after a change, written back."""
    content = yaml.safe_load(Path(markers).read_text())
    change(content)
    Path(markers).write_text(yaml.safe_dump(content))
    return markers


def test_the_shipped_file_has_the_classes_of_pannuke_and_a_source_for_every_programme():
    assert shipped() == ["human"]
    human = read_markers("human")
    assert {*human.classes, "neoplastic"} == set(PANNUKE)
    assert human.neoplastic.of == "epithelial"
    assert list(human.chosen(())) == ["inflammatory", "connective", "epithelial"]
    used = set()
    for one in [*human.classes.values(), human.neoplastic]:
        for programme in one.programmes.values():
            used |= set(programme.source)
            assert all(re.fullmatch(r"[A-Z][A-Za-z0-9-]+", gene) for gene in programme.positive)
    assert used == set(human.sources)
    assert all(re.search(r"10\.\d{4,}/\S+", text) for text in human.sources.values())


def test_classes_told_if_asked_come_when_they_are_asked_for():
    human = read_markers("human", ("dead", "epithelial"))
    assert list(human.chosen(("dead", "epithelial"))) == ["dead", "epithelial"]


def test_the_fingerprint_is_of_the_content(markers, tmp_path):
    copy = tmp_path / "other.yml"
    copy.write_bytes(Path(markers).read_bytes())
    assert fingerprint(str(copy)) == fingerprint(markers) != fingerprint("human")
    assert resources.files("triptych.annotators").joinpath("human.yaml").is_file()


def test_a_class_that_nobody_knows_is_told_with_the_nearest(markers):
    changed(markers, lambda c: c["classes"].update(epithelia=c["classes"].pop("epithelial")))
    with pytest.raises(DataError, match="there is no class epithelia. Did you mean epithelial?") as caught:
        read_markers(markers)
    assert "neoplastic.of: there is no class epithelial" in str(caught.value)


def test_a_class_that_is_asked_for_may_have_any_name(markers):
    changed(markers, lambda c: c["classes"].update(neuron=c["classes"].pop("dead")))
    with pytest.raises(DataError, match="there is no class neuron"):
        read_markers(markers)
    assert "neuron" in read_markers(markers, ("neuron", "epithelial")).classes
    with pytest.raises(DataError, match="the class glia is asked for and has no markers"):
        read_markers(markers, ("neuron", "glia"))


def test_all_faults_of_a_file_are_told_together(markers):
    def spoil(content):
        content["colour"] = "red"
        content["classes"]["dead"]["programmes"]["apoptosis"]["positive"] = ["D1", "D1"]
        content["classes"]["connective"]["programmes"]["fibroblast"].pop("source")
        content["classes"]["stroma"] = content["classes"]["connective"]

    with pytest.raises(DataError) as caught:
        read_markers(changed(markers, spoil))
    text = str(caught.value)
    for part in ("colour", "more than once: D1", "fibroblast.source", "there is no class stroma"):
        assert part in text


def test_references_inside_the_file_are_checked(markers):
    def spoil(content):
        content["classes"]["dead"]["programmes"]["apoptosis"]["source"] = "boek"
        content["classes"]["dead"]["programmes"]["apoptosis"]["negative"] = ["D1"]
        content["neoplastic"]["normal"] = ["gard"]

    with pytest.raises(DataError) as caught:
        read_markers(changed(markers, spoil))
    text = str(caught.value)
    for part in (
        "classes.dead.apoptosis: there is no source boek. Did you mean book?",
        "genes are both positive and negative: D1",
        "neoplastic.normal: epithelial has no programme gard. Did you mean guard?",
    ):
        assert part in text


def test_neoplastic_is_no_lineage(markers):
    changed(markers, lambda c: c["classes"].update(neoplastic=c["classes"]["dead"]))
    with pytest.raises(DataError, match="neoplastic is no lineage"):
        read_markers(markers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("- 1", "holds no mapping"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("organism: x", "classes: Field required"),
        (b"\xff\xfe\x00", "not YAML"),
    ],
)
def test_what_is_no_marker_file_is_refused(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=words):
        read_markers(str(path))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WeightsError, match="no marker file humam.*Did you mean human?"):
        read_markers("humam")
    with pytest.raises(WeightsError, match="no marker file"):
        fingerprint(str(tmp_path))
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(11 * 2**20)
    with pytest.raises(WeightsError, match="more than 10 MiB"):
        read_markers(str(large))


def test_a_file_that_may_not_be_read_is_told(markers, monkeypatch):
    def denied(path):
        raise PermissionError("denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    with pytest.raises(WeightsError, match="cannot be read: denied"):
        read_markers(markers)


def test_the_share_of_markers_that_are_measured_is_told(markers):
    genes = ["T1", "T2", "F1", "F2", "F3", "F4", "E1", "E2", "other"]
    with pytest.warns(TriptychWarning, match=r"2 of 7 \(29%\) of inflammatory, 2 of 7 \(29%\) of epithelial"):
        panel = panel_of("here", counts_of(genes), markers, (), 2)
    assert panel.programmes == ("t_cell", "fibroblast", "luminal")
    assert panel.of.tolist() == [0, 1, 2]
    assert [list(np.array(genes)[row]) for row in panel.positive[:1]] == [["T1", "T2"]]
    assert not panel.suspect
    assert not panel.normal.any()


def test_classes_without_enough_genes_are_refused_together(markers):
    with pytest.raises(DataError) as caught:
        panel_of("here", counts_of(["T1", "B1", "E1", "E2", "E2"]), markers, (), 2)
    text = str(caught.value)
    for part in (
        "gene names occur more than once: E2",
        "inflammatory cannot be told: 2 of its 7 markers are among the genes (B1, T1)",
        "connective cannot be told: 0 of its 4",
        "lower least_genes",
    ):
        assert part in text


def test_names_in_another_case_or_of_another_kind_get_a_hint(markers):
    with pytest.raises(DataError, match="differ by case only: the markers are of mouse-like"):
        panel_of("here", counts_of(["t1", "t2", "f1", "f2", "e1", "e2"]), markers, (), 2)
    ids = [f"ENSG{i:011d}" for i in range(9)]
    with pytest.raises(DataError, match="Ensembl ids .ENSG00000000000.: name them by symbols"):
        panel_of("here", counts_of(ids), markers, (), 2)


def test_of_one_class_there_is_nothing_to_tell(markers):
    with pytest.raises(DataError, match="of one class, epithelial"):
        panel_of("here", counts_of(["E1", "E2"]), markers, ("epithelial",), 2)
