"""Designs with several tables: shared arms, settings, what is left out, and the tables that are written."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import yaml

from triptych.core.errors import MissingExtraError, MissingSlotError, RecipeError, WeightsError
from triptych.encoders.images.uni2_h import UNI2h
from triptych.fusers.smooth import Smooth
from triptych.fusers.umap import Umap
from triptych.pipeline import identity
from triptych.pipeline.study import Study
from triptych.readers.layouts import ReadOptions
from triptych.runs import How
from triptych.studies.compare import compare, finish
from triptych.studies.execute import execute, pruned, shallow
from triptych.studies.loading import load_design, parse_design
from triptych.studies.missing import present
from triptych.studies.summary import references

SMALL = """\
name: small-tables
title: A is $genes
settings: {genes: "obsm:X_rna.log", image: "obsm:X_img.texture", tuned: "", latent: 4, centred: true}
seeds: [0, 1]
leave_out_missing: true
before:
  - {do: encode, use: log-normalised, to: "obsm:X_rna.log"}
  - {do: encode, use: sinusoidal, to: "obsm:X_pos.wave"}
  - {do: encode, use: stain-texture, to: "obsm:X_img.texture"}
  - {do: encode, use: uni2-h, with: {weights: /nowhere}, to: "obsm:X_img.uni"}
tables:
  views:
    title: views in $latent dimensions
    note: "<i>A</i> is $genes."
    columns: view
    rows: [clusterer, reduction]
    metrics: [ari, silhouette]
    against: A
    leave_out: [[mixture, smooth]]
    factors:
      view:
        place: [{do: fuse, use: concat, views: {x: "obsm:X_pos.wave"}, to: "obsm:X_fused.concat"}]
        A: [{do: fuse, use: concat, views: {x: $genes}, to: "obsm:X_fused.concat"}]
        tuned:
          needs: [tuned]
          steps: [{do: fuse, use: concat, views: {x: $tuned}, to: "obsm:X_fused.concat"}]
        uni2-h: [{do: fuse, use: concat, views: {x: "obsm:X_img.uni"}, to: "obsm:X_fused.concat"}]
        uni2-h too: [{do: fuse, use: concat, views: {y: "obsm:X_img.uni"}, to: "obsm:X_fused.concat"}]
        given: [{do: fuse, use: concat, views: {x: $image}, to: "obsm:X_fused.concat"}]
        A+B: &both
          - {do: fuse, use: concat, views: {a: $genes, b: "obsm:X_pos.wave"}, to: "obsm:X_fused.concat"}
      reduction: &reductions
        plain:
          - do: fuse
            use: pca
            views: {x: "obsm:X_fused.concat"}
            with: {components: $latent}
            to: "obsm:X_fused.reduced"
        smooth:
          - do: fuse
            use: smooth
            views: {x: "obsm:X_fused.concat"}
            with: {components: $latent}
            to: "obsm:X_fused.reduced"
      clusterer:
        K-means: &kmeans
          - {do: cluster, use: kmeans, x: "obsm:X_fused.reduced", k_from: truth, to: "obs:domain"}
        mixture: [{do: cluster, use: gaussian, x: "obsm:X_fused.reduced", k_from: truth, to: "obs:domain"}]
  reductions:
    columns: reduction
    metrics: [ari]
    factors:
      view: {A+B: *both}
      reduction:
        <<: *reductions
        none: [{do: fuse, use: concat, views: {x: "obsm:X_fused.concat"}, to: "obsm:X_fused.reduced"}]
      clusterer:
        K-means: *kmeans
after:
  - {do: score, use: ari, guess: "obs:domain", over: study}
  - {do: score, use: silhouette, guess: "obs:domain", x: "obsm:X_fused.reduced", over: study}
"""


@pytest.fixture
def design():
    return parse_design(SMALL, "small")


@pytest.fixture
def read_as(monkeypatch):
    """Reading gives this table, whatever the path."""
    return lambda table: monkeypatch.setattr("triptych.studies.compare.read", lambda *_: table)


FOLDER = []  # filled once, for the tests that only read it


@pytest.fixture
def finished(make_table, read_as, tmp_path_factory):
    """What was found and its folder; the image view came with the data."""
    if not FOLDER:
        table, out = make_table(), tmp_path_factory.mktemp("tables") / "out"
        table.obsm["X_img.own"] = np.random.default_rng(0).normal(size=(table.n_obs, 5))
        read_as(table)
        FOLDER.extend([compare(parse_design(SMALL, "small", ["image=obsm:X_img.own"]), "data", out=out), out])
    return tuple(FOLDER)


def with_change(**change):
    return yaml.safe_dump({**yaml.safe_load(SMALL), **change}, sort_keys=False)


def with_table(name, **change):
    content = yaml.safe_load(SMALL)
    content["tables"][name] |= change
    return yaml.safe_dump(content, sort_keys=False)


def test_arms_are_those_of_all_tables_and_equal_ones_are_one(design):
    arms = list(design.levels())
    assert len(arms) == len(set(arms)) == 6 * 3 + 1
    assert arms[-1] == "A+B · none · K-means"
    assert not [arm for arm in arms if "smooth · mixture" in arm or "tuned" in arm]
    assert list(design.recipes()) == arms
    both = design.tables["reductions"].arms(design.settings)
    assert list(both) == ["A+B · plain · K-means", "A+B · smooth · K-means", "A+B · none · K-means"]


def test_settings_fill_steps_of_whatever_kind(design):
    recipe = pruned(design.recipes()["given · plain · K-means"])
    assert recipe.steps[0].writes == "obsm:X_img.texture"
    assert recipe.steps[1].views == {"x": "obsm:X_img.texture"}
    assert recipe.steps[2].params == {"components": 4}
    other = parse_design(SMALL, "small", ["latent=7", "image=obsm:X_img.own", "tuned=obsm:X_rna.tuned"])
    recipe = pruned(other.recipes()["given · plain · K-means"])
    assert [step.do for step in recipe.steps[:2]] == ["fuse", "fuse"]
    assert recipe.steps[0].views == {"x": "obsm:X_img.own"}
    assert recipe.steps[1].params == {"components": 7}
    assert "tuned · plain · K-means" in other.levels()
    assert other.told("$latent of $genes, $5 and $other") == "7 of obsm:X_rna.log, $5 and $other"


def test_a_level_that_comes_to_the_steps_of_another_is_left_out():
    design = parse_design(SMALL, "small", ["image=obsm:X_pos.wave"])
    assert not [arm for arm in design.levels() if arm.startswith("given")]
    assert design.left_out() == [
        "Left out: tuned (view): the setting tuned is empty; give it with --set tuned=….",
        "Left out: given (view): with these settings it is the same as place.",
    ]


def test_arms_are_held_against_the_column_of_their_table(design):
    found = references(design)
    assert found["A+B · smooth · K-means"] == "A · smooth · K-means"
    assert found["A+B · none · K-means"] == "A+B · plain · K-means"
    assert "A · plain · K-means" not in found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["latnt=3"], r"«latnt=3»: there is no setting latnt\. Did you mean latent\?"),
        (
            ["kmeans.k=3"],
            r"«kmeans\.k=3»: A study says itself what changes, but for its settings\. .*genes, image",
        ),
        (["latent"], r"«latent»: A study says itself"),
        (["latent=many"], r"«latent=many»: it is a whole number, such as 4\."),
        (["latent=true", "centred=3"], r"2 faults.*whole number.*it is true or false, such as True"),
        (["latent=[1"], r"it is a whole number"),
        (["latent=0"], r"components must be at least 1.*\(and \d+ other arms\)"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        parse_design(SMALL, "small", changes)


def test_a_study_without_settings_says_so():
    with pytest.raises(RecipeError, match="there is no setting latent. This study has none"):
        load_design(["window"], ["latent=3"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_change(factors={"view": {"a": []}}), "give arms, factors or tables, one of the three"),
        (with_change(settings={"genes": "x"}), r"there is no setting image\..*there is no setting latent"),
        (with_change(tables={"Not a file": {}}), r"tables\.Not a file"),
        (with_table("views", columns="veiw"), "columns: there is no factor veiw. Did you mean view"),
        (with_table("views", against="AA"), "against: view has no level AA"),
        (with_table("views", rows=["reduction"]), "rows: name each factor but columns once: reduc"),
        (with_table("views", leave_out=[["mixtur"]]), "leave_out: there is no level mixtur. Did you mean"),
        (with_table("views", colums="view"), r"tables\.views\.colums: unknown key. Did you mean columns"),
        (with_table("views", factors={}), r"tables\.views\.factors"),
        (with_table("views", factors={"view": {}}), r"tables\.views\.factors\.view"),
    ],
)  # fmt: skip
def test_faults_of_tables_are_told(text, message):
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        parse_design(text, "small")


def test_one_name_means_one_thing_in_all_tables():
    content = deepcopy(yaml.safe_load(SMALL))
    level = content["tables"]["reductions"]["factors"]["reduction"]
    level["plain"] = [{**level["plain"][0], "with": {"components": 2}}]
    with pytest.raises(
        RecipeError, match="arm «A\\+B · plain · K-means»: two tables mean different steps by it"
    ):
        parse_design(yaml.safe_dump(content, sort_keys=False), "small")


def test_a_metric_that_does_not_exist_or_is_not_scored(design):
    wrong = parse_design(with_table("views", metrics=["ari", "arri"]), "small")
    with pytest.raises(RecipeError, match="tables.views: there is no metric arri. Did you mean ari"):
        compare(wrong, "toy")
    unscored = parse_design(with_table("views", metrics=["ari", "nmi"]), "small")
    with pytest.raises(RecipeError, match="tables.views: nmi is scored by no step"):
        compare(unscored, "toy")


def naive(runs, arm, metric):
    """Mean and standard deviation over the seeds of what was scored over the study."""
    rows = runs[(runs["arm"] == arm) & (runs["metric"] == metric) & (runs["slot"] == "obs:domain")]
    values = rows.sort_values("seed")["value"].to_numpy()
    assert len(values) == 2
    return values.mean(), values.std(ddof=1)


def test_the_wide_tables_hold_what_the_runs_gave(finished):
    _, out = finished
    runs = pd.read_csv(out / "runs.csv")
    views = pd.read_csv(out / "table-views.csv")
    names = ["place", "A", "given", "A+B"]
    assert list(views) == [
        "k_from",
        "metric",
        "clusterer",
        "reduction",
        *names,
        *(f"{n} (sd)" for n in names),
    ]
    assert [tuple(row[1:4]) for row in views.itertuples(index=False)] == [
        (metric, *row)
        for metric in ("ari", "silhouette")
        for row in (("K-means", "plain"), ("K-means", "smooth"), ("mixture", "plain"))
    ]
    for row in views.to_dict("records"):
        for name in names:
            mean, sd = naive(runs, f"{name} · {row['reduction']} · {row['clusterer']}", row["metric"])
            assert row[name] == pytest.approx(mean, abs=1e-12)
            assert row[f"{name} (sd)"] == pytest.approx(sd, abs=1e-12)
    reductions = pd.read_csv(out / "table-reductions.csv").iloc[0]
    for name in ("plain", "smooth", "none"):
        assert reductions[name] == pytest.approx(naive(runs, f"A+B · {name} · K-means", "ari")[0], abs=1e-12)


def test_what_is_not_there_is_left_out_and_said_once(finished):
    result, _ = finished
    notes = [note for note in result.notes if note.startswith("Left out")]
    assert notes[0].startswith("Left out: tuned (view): the setting tuned is empty")
    assert notes[1].startswith("Left out: uni2-h, uni2-h too (6 arms): There is no image of A1, A2, B1.")
    assert len(notes) == 2
    assert "oracle K" in (result.summary["protocol"].iloc[0])
    assert set(result.summary["samples"]) == {3}  # of what was scored over the study


def test_the_study_that_ran_can_run_again(finished):
    _, out = finished
    again = parse_design((out / "study.yaml").read_text("utf-8"), "again", ["latent=5"])
    assert again.recipes() == parse_design(SMALL, "small", ["latent=5", "image=obsm:X_img.own"]).recipes()


def test_components_are_asked_once_and_never_run(design, make_table, monkeypatch):
    asked, table = [], make_table()
    table.uns["triptych"]["samples"]["image"] = "there.tif"

    def fingerprint(self):
        asked.append(self)
        raise WeightsError("uni2-h: the hub cannot be reached.")

    monkeypatch.setattr(UNI2h, "fingerprint", fingerprint)
    found = present(design, design.recipes(), Study(table))
    assert len(asked) == 1
    assert found.notes == ["Left out: uni2-h, uni2-h too (6 arms): uni2-h: the hub cannot be reached."]
    assert not [arm for arm in found.recipes if arm.startswith("uni2-h")]
    assert len(found.recipes) == len(design.levels()) - 6


def test_a_package_that_is_missing_is_found_before_anything_runs(design, make_table, monkeypatch):
    monkeypatch.setattr(Smooth, "extra", ("no_such_package", "umap"), raising=False)
    found = present(design, design.recipes(), Study(make_table()))
    assert found.notes[0] == (
        "Left out: smooth (3 arms): no_such_package is not installed. pip install 'triptych[umap]'"
    )
    assert not [arm for arm in found.recipes if "smooth" in arm]


def test_an_image_that_is_not_there_leaves_out_what_reads_it(design, make_table):
    found = present(design, design.recipes(), Study(make_table()))
    (note,) = found.notes
    assert note.startswith("Left out: uni2-h, uni2-h too, given (9 arms): There is no image of A1, A2, B1.")
    assert {arm.split(" · ")[0] for arm in found.recipes} == {"place", "A", "A+B"}


def test_a_view_that_the_data_do_not_have_is_left_out(make_table):
    design = parse_design(SMALL, "small", ["image=obsm:X_img.own"])
    notes = present(design, design.recipes(), Study(make_table())).notes
    assert notes[1].startswith("Left out: given (3 arms): The table has no obsm:X_img.own. obsm has: spatial")


def only(level):
    content = yaml.safe_load(SMALL)
    views = content["tables"]["views"]
    views["factors"]["view"] = {level: views["factors"]["view"][level]}
    views["against"] = ""
    return yaml.safe_dump({**content, "tables": {"views": views}}, sort_keys=False)


def test_when_nothing_is_left_the_first_reason_is_raised(make_table, read_as):
    table = make_table()
    read_as(table)
    with pytest.raises(MissingSlotError, match="There is no image of A1, A2, B1"):
        compare(parse_design(only("uni2-h"), "small"), "somewhere")
    table.uns["triptych"]["samples"]["image"] = "there.tif"
    with pytest.raises(WeightsError, match="uni2-h: there is no /nowhere"):
        compare(parse_design(only("uni2-h"), "small"), "somewhere")
    with pytest.raises(RecipeError, match="no arm is left: give the settings that its levels need"):
        parse_design(only("tuned"), "small")


def test_without_the_flag_arms_fail_as_ever(make_table, read_as):
    read_as(make_table())
    content = yaml.safe_load(SMALL) | {"leave_out_missing": False, "seeds": [0]}
    for table in content["tables"].values():
        del table["factors"]["reduction"]["smooth"]
    content["tables"]["views"] |= {"leave_out": [["mixture", "plain"]]}
    design = parse_design(yaml.safe_dump(content, sort_keys=False), "small")
    result, failures = finish(design, "somewhere", out=None, reading=ReadOptions(), how=How())
    assert {one.arm.split(" · ")[0] for one in failures.found} == {"uni2-h", "uni2-h too", "given"}
    assert not [note for note in result.notes if note.startswith("Left out: uni2-h")]
    assert "uni2-h" in set(result.arms["view"])


def test_what_proves_missing_only_when_used_is_left_out_after_one_try(make_table, read_as, monkeypatch):
    tried = []

    def fit(self, *_):
        tried.append(self)
        raise MissingExtraError("umap cannot work here.")

    monkeypatch.setattr(Smooth, "fit", fit)
    read_as(make_table())
    design = parse_design(only("A"), "small")
    result, failures = finish(design, "somewhere", out=None, reading=ReadOptions(), how=How())
    assert len(tried) == 1  # of two seeds
    assert failures.found == []
    assert "Left out: smooth (1 arm): umap cannot work here." in result.notes
    assert "smooth" not in set(result.arms["reduction"])


def test_a_run_shares_the_matrices_and_changes_none(design, make_table):
    table = make_table()
    table.obsm["X_rna.given"] = np.ones((table.n_obs, 2))
    copy = shallow(table)
    assert np.shares_memory(copy.layers["counts"].data, table.layers["counts"].data)
    assert np.shares_memory(copy.obsm["X_rna.given"], table.obsm["X_rna.given"])
    copy.obs["domain"], copy.obsm["X_new"], copy.uns["triptych"]["made"] = 0, np.zeros((table.n_obs, 2)), {}
    copy.obsm["X_rna.given"] = np.zeros((table.n_obs, 2))
    copy.obs.loc[copy.obs_names[0], "array_col"] = 99
    assert "domain" not in table.obs
    assert "X_new" not in table.obsm
    assert "made" not in table.uns["triptych"]
    assert table.obs["array_col"].iloc[0] == 0
    assert (table.obsm["X_rna.given"] == 1).all()


def test_runs_leave_the_bits_of_the_data_as_they_were(design, make_table):
    table = make_table()
    before = [identity.of_array(table.layers["counts"]), *(identity.of_array(v) for v in table.obsm.values())]
    recipes = {arm: one for arm, one in design.recipes().items() if arm.startswith("A ·")}
    execute(design.model_copy(update={"seeds": (0,)}), recipes, table, how=How(cached=False))
    after = [identity.of_array(table.layers["counts"]), *(identity.of_array(v) for v in table.obsm.values())]
    assert before == after


def test_the_tables_of_castle_on_a_small_study(make_table, read_as, monkeypatch, tmp_path):
    """The second table with small networks, without UMAP, and with a view of the data as the image."""
    table = make_table()
    table.obsm["X_img.own"] = np.random.default_rng(0).normal(size=(table.n_obs, 5))
    read_as(table)
    monkeypatch.setattr(Umap, "extra", ("no_such_package", "umap"), raising=False)
    small = ["latent=4", "hidden=[8]", "epochs=1", "least_steps=5", "dec_steps=20", "image=obsm:X_img.own"]
    design = load_design(["castle-tables"], small)
    design = design.model_copy(update={"tables": {"reductions": design.tables["reductions"]}, "seeds": (0,)})
    result, failures = finish(design, "data", out=tmp_path / "out", reading=ReadOptions(), how=How())
    assert failures.found == []
    assert any(note.startswith("Left out: UMAP (4 arms): no_such_package") for note in result.notes)
    found = pd.read_csv(tmp_path / "out" / "table-reductions.csv").set_index(["metric", "clustering"])
    assert list(found)[2:5] == ["PCA", "autoencoder", "SDAE"]
    assert set(found.index.get_level_values("clustering")) == {"K-means", "Louvain", "DEC", "DEC, balanced"}
    accuracy = found.loc["majority-accuracy"]
    assert accuracy.loc[["DEC", "DEC, balanced"], "PCA"].isna().all()
    assert accuracy[["autoencoder", "SDAE"]].notna().all(axis=None)
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    one = runs.query("arm == 'A+B+C · SDAE · DEC' and metric == 'silhouette' and slot == 'obs:domain'")
    assert one["value"].item() == found.loc[("silhouette", "DEC"), "SDAE"]
    assert one["protocol"].item() == "transductive, oracle K, in obsm:X_fused.reduced"


def test_castle_tables_has_every_cell_of_the_papers_tables():
    arms = load_design(["castle-tables"], ["tuned=folder", "image=obsm:X_img.own"]).levels()
    assert len(arms) == 12 * 2 * 2 + 2 * (2 * 2 + 2 * 2)  # the second table of A+B+C, or else of A+B
    views = {one["view"] for one in arms.values()}
    assert {"raw", "Geneformer", "Geneformer, tuned", "lookup", "sinusoidal", "DINOv2", "given image"} < views
    assert {"A+B", "A+C", "A+B+C"} < views
    dec = {arm for arm, one in arms.items() if one["clustering"].startswith("DEC")}
    assert {arms[arm]["reduction"] for arm in dec} == {"autoencoder", "SDAE"}
    assert len(dec) == 8  # four of each view, of which one is kept


FIRST = """\
name: firsts
seeds: [0]
leave_out_missing: true
metric: ari
before:
  - {do: encode, use: pca, with: {components: 4}, to: "obsm:X_rna.pca"}
tables:
  one:
    columns: clustering
    first: view
    factors:
      view:
        image: [{do: fuse, use: concat, views: {x: "obsm:X_img.none"}, to: "obsm:X_fused"}]
        genes: [{do: fuse, use: concat, views: {x: "obsm:X_rna.pca"}, to: "obsm:X_fused"}]
        genes again: [{do: fuse, use: concat, views: {y: "obsm:X_rna.pca"}, to: "obsm:X_fused"}]
      clustering:
        few: [{do: cluster, use: kmeans, x: "obsm:X_fused", with: {k: 2}, to: "obs:domain"}]
        more: [{do: cluster, use: kmeans, x: "obsm:X_fused", with: {k: 3}, to: "obs:domain"}]
after:
  - {do: score, use: ari, guess: "obs:domain", over: study}
"""


def test_of_a_factor_the_first_level_that_the_data_have_is_kept(make_table):
    design = parse_design(FIRST, "firsts")
    found = present(design, design.recipes(), Study(make_table()))
    assert list(found.recipes) == ["genes · few", "genes · more"]
    assert any("image" in note and "X_img.none" in note for note in found.notes)
    table = make_table()
    table.obsm["X_img.none"] = np.arange(len(table) * 2.0).reshape(-1, 2)
    assert list(present(design, design.recipes(), Study(table)).recipes) == ["image · few", "image · more"]


def test_the_first_of_an_unknown_factor_is_told():
    with pytest.raises(RecipeError, match="first: there is no factor views. Did you mean view?"):
        parse_design(FIRST.replace("first: view", "first: views"), "firsts")
