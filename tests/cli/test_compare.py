"""Everything that can go wrong with compare: told at the door where it can be, else never at others' cost."""

import sys

import numpy as np
import pandas as pd
import pytest

from triptych.aligners.center import Center
from triptych.cli import main
from triptych.core.errors import CacheError, DataError, NumericsError, RecipeError
from triptych.pipeline.cache import Cache
from triptych.readers.layouts import ReadOptions
from triptych.readers.toy.study import Toy
from triptych.readers.toy.tissue import DOMAINS
from triptych.readers.toy.write import write_spatial_transcriptomics
from triptych.runs import How
from triptych.studies.compare import finish
from triptych.studies.door import check
from triptych.studies.execute import execute
from triptych.studies.failures import Failures
from triptych.studies.loading import load_design, parse_design
from triptych.studies.nested import validate

PLAIN = """\
name: plain
steps:
  - {do: encode, use: pca, with: {components: 4}, to: "obsm:X_rna.pca"}
  - {do: align, use: center, x: "obsm:X_rna.pca", to: "obsm:X_rna.pca.center"}
  - {do: cluster, use: kmeans, x: "obsm:X_rna.pca.center", k_from: truth, with: {k: 3}, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""
OTHER = PLAIN.replace("plain", "other").replace("components: 4", "components: 6")
FIXED = PLAIN.replace("k_from: truth, with: {k: 3}", "with: {k: 100000}")
STUDY = """\
name: two
seeds: [0, 1]
arms: {plain: {recipe: plain.yaml}, other: {recipe: other.yaml}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    where = tmp_path_factory.mktemp("made")
    write_spatial_transcriptomics(Toy(sections_per_donor=1, side=8, genes=60).make(), where)
    return where


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A folder with two recipes and a study, in which we stand."""
    (tmp_path / "study").symlink_to(made)
    for name, text in (("plain", PLAIN), ("other", OTHER), ("fixed", FIXED), ("two", STUDY)):
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def compare(place, capsys, monkeypatch):
    """Run the command line in this process: what it says on stdout and stderr; tracebacks are raised."""

    def command(*words, code=0, out="new"):
        words = ["triptych", "compare", *map(str, words), "--data", "study", "-o", out]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        assert done.value.code == code, said.out + said.err
        return " ".join(said.out.split()), " ".join(said.err.split())

    return command


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["plian.yaml"], 3, "There is no study or recipe plian.yaml"),
        (["quickstrat"], 3, "Did you mean quickstart?"),
        (["plain.yaml", "--k", "bics"], 2, "There is no way «bics» to choose K. There is: recipe, truth"),
        (["plain.yaml", "--seeds", "-1"], 2, "--seeds"),
        (["plain.yaml", "--samples", "A1,Z9"], 2, "Z9"),
        (["plain.yaml", "--truth", "nobody"], 2, "nobody"),
        (["plain.yaml", "plain.yaml"], 2, "plain is there twice"),
        (["two.yaml", "plain.yaml"], 2, "two.yaml is a study of its own"),
        (["two.yaml", "--set", "pca.components=3"], 2, "A study says itself what changes"),
        (["plain.yaml", "--set", "pca.componets=3"], 3, "Did you mean components?"),
        (["fixed.yaml", "--seeds", "1"], 2, "k = 100000 is larger than"),
    ],
)
def test_mistakes_leave_nothing_behind(compare, place, words, code, text):
    _, err = compare(*words, code=code)
    assert text in err
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (("seeds: [0, 1]", "seeds: [0, -1]\nseedz: 3\nmetricc: ari"), ["seeds.1:", "seedz:", "metricc:"]),
        (("plain.yaml", "plane.yaml"), ["arm «plain»:", "There is no recipe plane.yaml"]),
        (("seeds: [0, 1]", "metric: arri"), ["metric: there is no arri. Did you mean ari?"]),
        (
            ("seeds: [0, 1]", "seeds: [0]\nmetric: arri\nnested: {grid: {smoth.k: [6]}, tuning_seeds: 3}"),
            ["3 faults", "arri", "smoth.k has a place in no arm", "tuning_seeds: 3 of 1 seeds"],
        ),
        (("seeds: [0, 1]", "nested: {grid: {pca.components: []}}"), ["nested.grid.pca.components"]),
        (("arms:", "factors: {a: {b: []}}\narms:"), ["give arms, factors or tables, one of the three"]),
    ],
)  # fmt: skip
def test_faults_of_a_study_are_told_together_before_anything_is_read(compare, place, change, texts):
    (place / "two.yaml").write_text(STUDY.replace(*change))
    _, err = compare("two.yaml", code=2)
    assert all(text in err for text in texts), err
    assert not (place / "new").exists()


def test_arms_without_labels_are_told():
    design = parse_design(
        'name: one\nfactors: {view: {few: [{do: encode, use: pca, to: "obsm:X_rna.pca"}]}}\n', "one"
    )
    with pytest.raises(RecipeError, match="few writes no labels and no cell types: add a step cluster"):
        check(design, design.recipes())


def test_out_that_holds_another_study_or_someone_elses_files(compare, place):
    compare("plain.yaml", "--seeds", "1")
    _, err = compare("two.yaml", code=2)
    assert "new holds a run of the recipe study comparison, not of study two" in err
    _, err = compare("plain.yaml", "--seeds", "1", "--samples", "A1", code=2)
    assert "new holds another study" in err
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("words")
    _, err = compare("plain.yaml", code=2, out="mine")
    assert "mine holds files that are no run: thesis.txt" in err


def test_one_arm_with_one_seed_after_two_arms(compare, place):
    compare("plain.yaml", "other.yaml", "--seeds", "2")
    assert len(pd.read_csv(place / "new" / "pairs.csv")) == 1
    page = (place / "new" / "compare.html").read_text("utf-8")
    assert "triptych compare plain.yaml other.yaml --data study -o new" not in page  # it lacks what was said
    assert "triptych compare plain.yaml other.yaml --seeds 2 --data study -o new" in page
    compare("plain.yaml", "--seeds", "1")
    assert not (place / "new" / "pairs.csv").exists()
    summary = pd.read_csv(place / "new" / "summary.csv")
    assert summary["arm"].tolist() == ["plain"]
    assert summary["sd_seeds"].isna().all()


def test_no_seeds_are_the_studys_own(compare, place):
    compare("two.yaml", "--seeds", "0")
    assert set(pd.read_csv(place / "new" / "runs.csv")["seed"]) == {0, 1}


def test_each_way_to_choose_k_once(compare, place):
    compare("plain.yaml", "--seeds", "1", "--k", "truth,bic,truth")
    summary = pd.read_csv(place / "new" / "summary.csv")
    assert summary["k_from"].tolist() == ["truth", "bic"]


def test_a_study_that_scores_nothing_says_so(compare, place):
    out, _ = compare(
        "plain.yaml", "other.yaml", "--seeds", "1", "--unlabelled", ",".join([*DOMAINS, "undetermined"])
    )
    assert "No arm was scored" in out
    assert "No arm was scored" in (place / "new" / "compare.html").read_text("utf-8")
    assert not (place / "new" / "summary.csv").exists()


def test_an_arm_that_fails_costs_the_others_nothing(compare, place):
    out, err = compare("fixed.yaml", "plain.yaml", "--seeds", "2", code=2)
    told = "fixed failed (K from recipe; seed 0, seed 1) and is left out there: k = 100000 is larger than"
    assert f"note: {told}" in out
    assert err.count("error:") == 1
    assert "2 runs failed, the others are kept; fixed, seed 0: k = 100000" in err
    assert set(pd.read_csv(place / "new" / "runs.csv")["arm"]) == {"plain"}
    assert set(pd.read_csv(place / "new" / "summary.csv")["arm"]) == {"plain"}
    assert not (place / "new" / "pairs.csv").exists()
    assert told in (place / "new" / "compare.html").read_text("utf-8")


@pytest.fixture
def diverging(monkeypatch):
    """Centring diverges where a space is six wide."""
    fit = Center.fit

    def failing(self, x, *rest):
        if x.shape[1] == 6:
            raise NumericsError("The centre diverged.")
        return fit(self, x, *rest)

    monkeypatch.setattr(Center, "fit", failing)


def test_an_arm_that_diverges_gives_the_exit_code_of_numerics(compare, place, diverging):
    out, err = compare("plain.yaml", "other.yaml", "--seeds", "1", code=5)
    assert "note: other failed (K from truth; seed 0) and is left out there: The centre diverged." in out
    assert "error: 1 run failed" in err
    assert set(pd.read_csv(place / "new" / "runs.csv")["arm"]) == {"plain"}


def test_the_arms_that_failed_are_made_up_for_later(compare, place, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Center, "fit", lambda *given: (_ for _ in ()).throw(NumericsError("It diverged.")))
        _, err = compare("plain.yaml", "--seeds", "1", code=5)
        assert "error: It diverged." in err
    compare("plain.yaml", "--seeds", "1")
    assert set(pd.read_csv(place / "new" / "runs.csv")["arm"]) == {"plain"}


def test_a_disk_that_is_full_stops_the_study_at_once(place, make_table, monkeypatch):
    def full(*given):
        raise CacheError("No space is left.")

    monkeypatch.setattr(Cache, "put", full)
    design = load_design(["plain.yaml", "other.yaml"])
    with pytest.raises(CacheError):
        execute(design, design.recipes(), make_table(), how=How(), failures=Failures())


def of(study):
    return lambda names: study[study.obs["sample"].isin(names)].copy()


def test_an_arm_that_fails_in_a_fold_leaves_the_other_arms(place, make_table, diverging):
    design = parse_design(STUDY.replace("[0, 1]", "[0]") + "nested: {test: [apply]}\n", "two")
    study, failures = make_table(samples=("A1", "A2", "B1", "B2")), Failures()
    donors = {name: name[0] for name in ("A1", "A2", "B1", "B2")}
    runs, folds = validate(
        design, design.nested, design.recipes(), of(study), donors, how=How(cached=False), failures=failures,
    )  # fmt: skip
    assert set(runs["arm"]) == {"plain (applied)"}
    assert folds["arm"].tolist() == ["plain", "plain"]
    assert failures.notes() == [
        "other failed (K from truth; fold A, fold B) and is left out there: The centre diverged."
    ]


def test_without_a_result_the_first_error_is_raised(place, make_table):
    study = make_table()
    study.obs["truth"] = np.nan
    design, source = parse_design(STUDY + "nested: {}\n", "two"), of(study)
    with pytest.raises(DataError, match="no known labels"):
        validate(
            design, design.nested, design.recipes(), source,
            {"A1": "A", "A2": "A", "B1": "B"}, how=How(cached=False),
        )  # fmt: skip


def test_in_python_the_notes_and_the_failures_come_back(place):
    design = load_design(["plain.yaml", "fixed.yaml"]).model_copy(update={"seeds": (0,)})
    found, failures = finish(design, "study", out=None, reading=ReadOptions(), how=How(cached=False))
    assert failures.found[0].arm == "fixed"
    assert found.notes[0].startswith("fixed failed")
