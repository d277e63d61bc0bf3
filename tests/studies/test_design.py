"""Studies as they are written: arms, factors, grids, and the faults of each."""

import pytest
import yaml

from triptych.core.errors import RecipeError, UnknownComponentError
from triptych.studies.design import candidates, with_k
from triptych.studies.loading import load_design, parse_design, shipped_studies, with_options

FACTORS = """\
name: small
factors:
  view:
    few: [{do: encode, use: pca, with: {components: 3}, to: "obsm:X_rna.pca"}]
    many: [{do: encode, use: pca, with: {components: 6}, to: "obsm:X_rna.pca"}]
  after:
    plain: [{do: cluster, use: kmeans, x: "obsm:X_rna.pca", k_from: truth, to: "obs:domain"}]
    smooth:
      - {do: fuse, use: smooth, views: {rna: "obsm:X_rna.pca"}, with: {components: 0}, to: "obsm:X_fused"}
      - {do: cluster, use: kmeans, x: "obsm:X_fused", k_from: truth, to: "obs:domain"}
after: [{do: score, use: ari, guess: "obs:domain"}]
"""


def test_arms_are_all_combinations_of_levels():
    recipes = parse_design(FACTORS, "small").recipes()
    assert list(recipes) == ["few · plain", "few · smooth", "many · plain", "many · smooth"]
    assert [step.do for step in recipes["many · smooth"].steps] == ["encode", "fuse", "cluster", "score"]
    assert recipes["many · smooth"].steps[0].params["components"] == 6


def test_a_level_may_change_what_others_wrote():
    changes = "set: [pca.components=6, kmeans.n_init=2]"
    text = FACTORS.replace(
        'many: [{do: encode, use: pca, with: {components: 6}, to: "obsm:X_rna.pca"}]',
        f'many: {{steps: [{{do: encode, use: pca, to: "obsm:X_rna.pca"}}], {changes}}}',
    )
    recipe = parse_design(text, "small").recipes()["many · plain"]
    assert recipe.steps[0].params == {"components": 6}
    assert recipe.steps[1].params == {"n_init": 2}


def test_recipes_side_by_side_take_the_changes_they_have_a_place_for():
    design = load_design(["smooth-gaussian", "cross-sample-genes"], ["grid-triplet.epochs=3"])
    recipes = design.recipes()
    fused = [s for s in recipes["cross-sample-genes"].steps if s.use == "grid-triplet"]
    assert fused[0].params["epochs"] == 3
    with pytest.raises(RecipeError, match="touches no step"):
        load_design(["smooth-gaussian"], ["grid-triplet.epochs=3"])


def test_k_is_chosen_in_another_way_only_where_it_came_from_the_labels():
    recipe = load_design(["cross-sample-genes"]).recipes()["cross-sample-genes"]
    clustered = [step for step in recipe.steps if step.do == "cluster"]
    changed = [step for step in with_k(recipe, "stability").steps if step.do == "cluster"]
    assert {step.k_from for step in clustered} == {"truth", "bic", "stability"}
    assert [b.k_from for b in changed] == [a.k_from.replace("truth", "stability") for a in clustered]


def test_candidates_are_all_combinations_that_fit():
    recipe = load_design(["smooth-gaussian"]).recipes()["smooth-gaussian"]
    grid = {"smooth.neighbours": [6, 18], "smooth.components": [10, 15], "grid-triplet.window": [3, 5]}
    found = list(candidates(recipe, grid))
    assert [settings for settings, _ in found] == [
        {"smooth.neighbours": n, "smooth.components": c} for n in (6, 18) for c in (10, 15)
    ]
    assert [next(s for s in r.steps if s.use == "smooth").params["neighbours"] for _, r in found] == [
        6,
        6,
        18,
        18,
    ]


@pytest.mark.parametrize("name", list(shipped_studies()))
def test_shipped_studies_are_valid(name):
    design = load_design([name])
    assert design.title
    assert design.question
    assert len(design.recipes()) >= (1 if design.nested else 2)  # candidates are compared too


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seedz": [1]}, r"seedz: unknown key\. .*seeds"),
        ({"seeds": []}, "seeds"),
        ({"k_from": ["guess"]}, "k_from"),
        ({"arms": {"a": {"recipe": "quickstart"}}}, "give arms, factors or tables"),
        ({"reference": "few"}, "there is no arm few"),
        ({"nested": {"composite": {"weight": 2}}}, r"nested\.composite\.weight"),
        ({"after": [{"do": "score", "use": "arri", "guess": "obs:domain"}]}, r"arm «few · plain»: .*arri"),
    ],
)
def test_faults_are_told(change, message):
    content = {**yaml.safe_load(FACTORS), **change}
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        parse_design(yaml.safe_dump(content, sort_keys=False), "small")


def test_unknown_names_and_mixtures():
    with pytest.raises(UnknownComponentError, match="There is no study or recipe smoth-gaussian"):
        load_design(["smoth-gaussian"])
    with pytest.raises(RecipeError, match="is a study of its own"):
        load_design(["alignment-by-fusion", "quickstart"])


def test_options_of_the_command_line():
    design = with_options(load_design(["quickstart"]), seeds=2, k_from="truth, bic")
    assert design.seeds == (0, 1)
    assert design.k_from == ("truth", "bic")
    with pytest.raises(RecipeError, match=r"There is no way «oracle» to choose K\. There is: recipe, truth"):
        with_options(design, k_from="oracle")


def test_a_study_file_that_is_no_yaml(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("arms: [", "utf-8")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_design([str(path)])
