"""Everything that can go wrong with apply: a message and an exit code, no traceback, nothing left behind."""

import gzip
import json
import shutil
import sys

import pytest

import triptych as tp
from triptych.cli import main
from triptych.pipeline.applying import apply
from triptych.pipeline.chain import Chain
from triptych.pipeline.recipe import parse
from triptych.readers.layouts import ReadOptions
from triptych.readers.toy.study import Toy
from triptych.readers.toy.write import write_spatial_transcriptomics
from triptych.runs import How, run

RECIPE = """\
name: small
steps:
  - {do: encode, use: pca, with: {components: 4}, to: "obsm:X_rna.pca"}
  - {do: encode, use: stain-texture, to: "obsm:X_img.stain-texture"}
  - {do: fuse, use: concat, views: {a: "obsm:X_rna.pca", b: "obsm:X_img.stain-texture"}, to: "obsm:X_fused"}
  - {do: cluster, use: kmeans, x: "obsm:X_fused", with: {k: 3}, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A study, and a run on the sections of its first donor."""
    where = tmp_path_factory.mktemp("fitted")
    write_spatial_transcriptomics(Toy(sections_per_donor=1, side=8, genes=60).make(), where / "study")
    (where / "small.yaml").write_text(RECIPE)
    how, only = How(cached=False), ReadOptions(samples=("A1",))
    run(where / "small.yaml", where / "study", out=where / "out", reading=only, how=how)
    return where


@pytest.fixture
def place(fitted, tmp_path, monkeypatch):
    """A copy of it, in which we stand."""
    shutil.copytree(fitted, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def told(capsys, monkeypatch):
    """Run the command line in this process and give what it says on stderr; a traceback would be raised."""

    def command(*words, code):
        monkeypatch.setattr(sys, "argv", ["triptych", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        assert done.value.code == code, said.out + said.err
        assert said.err.count("error:") == (1 if code else 0)
        return " ".join(said.err.split())

    return command


@pytest.fixture
def refused(place, told):
    """Apply to the second donor, which must fail and leave nothing behind."""

    def command(*, code, model="out", samples="B1", out="new"):
        message = told("apply", model, "study", "--samples", samples, "-o", out, code=code)
        assert not (place / "new").exists()
        return message

    return command


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_apply_says_how_far_the_section_lies(place, told, capsys):
    told("apply", "out", "study", "--samples", "B1", "-o", "new", code=0)
    assert (place / "new" / "tables" / "distance.csv").is_file()
    told("apply", "out", "study", "--samples", "B1", "-o", "new", code=0)  # the same again is no fault
    assert "donor held out" in (place / "new" / "scores.csv").read_text()


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("nowhere", "nowhere holds no fitted model: there is no chain.json. Name the folder given to run -o"),
        ("study", "study holds no fitted model"),
        ("empty", "empty holds no fitted model"),
    ],
)
def test_no_model(place, refused, model, text):
    (place / "empty").mkdir()
    assert text in refused(model=model, code=4)


def test_every_file_of_the_model_that_is_cut_or_missing_is_told(place, refused):
    model = place / "out" / "model"
    paths = [path for path in sorted(model.rglob("*")) if path.is_file()]
    assert len(paths) > 8
    for path in paths:
        whole = path.read_bytes()
        for left in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:left])
            message = refused(code=4)
            assert path.parent.name in message
            assert "is damaged" in message or "is not a saved" in message
            assert "pydantic.dev" not in message
        path.unlink()
        refused(code=4)
        path.write_bytes(whole)


def test_a_missing_folder_of_the_model_is_told(place, refused):
    for name in ("profiles", "space-00", "step-01"):
        (place / "out" / "model" / name).rename(place / "kept")
        assert f"{name} holds no arrays.safetensors" in refused(code=4)
        (place / "kept").rename(place / "out" / "model" / name)


def test_a_model_of_another_format(place, refused):
    change(place / "out" / "model" / "chain.json", format=2, news="unknown to this version")
    message = refused(code=4)
    assert "has the format 2, not 1: another version of triptych wrote it" in message


@pytest.mark.parametrize("name", ["../../outside", "..", "/etc", "space-00/../../../outside", ""])
def test_a_model_that_points_outside_its_folder_is_not_followed(place, refused, name):
    chain = place / "out" / "model" / "chain.json"
    shutil.copytree(place / "out" / "model" / "space-00", place / "outside")
    spaces = json.loads(chain.read_text())["spaces"]
    change(chain, spaces=dict.fromkeys(spaces, name))
    assert "chain.json is damaged: spaces." in refused(code=4)


@pytest.mark.parametrize("index", [0, 3, 5, 99, -1])
def test_links_that_are_not_the_steps_of_the_recipe(place, refused, index):
    chain = place / "out" / "model" / "chain.json"
    links = json.loads(chain.read_text())["links"]
    change(chain, links=[{**links[0], "index": index}, *links[1:]])
    assert "chain.json is damaged" in refused(code=4)


def test_components_that_nobody_has(place, refused):
    chain = place / "out" / "model" / "chain.json"
    whole = chain.read_text()
    content = json.loads(whole)
    content["recipe"]["steps"][3]["use"] = "kmeens"
    chain.write_text(json.dumps(content))
    assert "There is no kmeens among the clusterers. Did you mean kmeans?" in refused(code=3)
    content = json.loads(whole)
    content["links"][0]["use"] = "pcaa"
    chain.write_text(json.dumps(content))
    assert "There is no pcaa" in refused(code=3)
    content = json.loads(whole)
    content["links"][0]["params"]["componets"] = 3
    chain.write_text(json.dumps(content))
    assert "componets" in refused(code=3)


def test_a_run_of_each_section_by_itself_left_no_model(place, told, refused):
    told("run", "small.yaml", "study", "--per-sample", "--no-cache", "-o", "apart", code=0)
    message = refused(model="apart", code=4)
    assert "The run in apart left no model. No model is saved for other sections: step 1" in message
    assert "was fitted on each section by itself" in message


def test_a_run_without_a_model_takes_away_that_of_the_run_before(place, told, refused):
    told("run", "small.yaml", "study", "--samples", "A1", "--per-sample", "--no-cache", "-o", "out", code=0)
    assert not (place / "out" / "model").exists()
    assert "left no model" in refused(code=4)


def test_data_without_the_genes_of_the_model(place, refused):
    path = place / "study" / "counts" / "B1.tsv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(text.replace("GENE", "ENSG").encode()))
    message = refused(code=2)
    assert "genes" in message


def test_data_without_the_image_that_the_model_reads(place, refused):
    for image in (place / "study" / "images").glob("B1*"):
        image.unlink()
    assert "There is no image of B1" in refused(code=2)


def test_samples_that_do_not_exist(refused):
    message = refused(samples="B1,Z9", code=2)
    assert "Z9" in message
    assert "A1" in message


def test_out_that_holds_something_else(place, refused):
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("words")
    assert "mine holds files that are no run: thesis.txt" in refused(out="mine", code=2)
    assert [item.name for item in (place / "mine").iterdir()] == ["thesis.txt"]


def test_out_that_is_the_run_itself(place, refused):
    before = (place / "out" / "provenance.json").read_bytes()
    for model in ("out", "out/model"):
        assert "out is the run that is applied" in refused(model=model, samples="A1", out="out", code=2)
    assert (place / "out" / "provenance.json").read_bytes() == before


def test_a_score_for_which_the_data_hold_nothing_is_left_out(place, told):
    text = RECIPE + '  - {do: score, use: ari, guess: "obs:domain", truth: "obs:expert"}\n'
    table = tp.read(place / "study", samples=["A1", "B1"])
    table.obs["expert"] = table.obs["truth"]
    fit, new = (table[(table.obs["sample"] == name)].copy() for name in ("A1", "B1"))
    del new.obs["expert"]
    tp.run(parse(text, "small"), fit, out="scored", how=How(cached=False))
    record = apply(Chain.load(place / "scored"), new)
    assert "Left out: score ari; the data hold no obs:expert." in record.warnings
    assert set(record.scores["metric"]) == {"ari", "clusters"}
