import pytest
import yaml

from triptych.core.errors import RecipeError, UnknownComponentError
from triptych.pipeline.each import sketched
from triptych.pipeline.recipe import load, parse, shipped
from triptych.pipeline.wiring import check

GOOD = """\
name: small
seed: 3
steps:
  - {do: encode, use: pca, with: {components: 5}, to: "obsm:X_rna.pca"}
  - {do: cluster, use: kmeans, x: "obsm:X_rna.pca", with: {k: 2}, to: "obs:domain"}
  - {do: score, use: ari, guess: "obs:domain"}
"""


def message(text, *changes, error=RecipeError):
    with pytest.raises(error) as caught:
        parse(text, "r.yaml", changes)
    return str(caught.value)


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_recipes_are_sound_and_round_trip(name):
    recipe = load(name)
    check(sketched(recipe))
    assert recipe.name == name
    assert recipe.title
    assert parse(recipe.to_yaml(), "again") == recipe


def test_a_recipe_from_a_file(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(GOOD)
    assert load(path).seed == 3


def test_an_unknown_recipe_gets_the_nearest_spelling():
    with pytest.raises(UnknownComponentError, match=r"no recipe quickstrat, .*Did you mean quickstart\?"):
        load("quickstrat")


def test_all_faults_are_shown_with_their_lines():
    text = GOOD.replace("do: cluster", "do: clutser").replace("guess:", "gues:")
    found = message(text)
    assert "line 5, steps.2: no verb" in found
    assert "line 6, steps.3.gues: unknown key. Did you mean guess?" in found
    assert "line 6, steps.3.guess: is missing" in found


def test_unknown_component_and_parameter_exit_with_three():
    found = message(GOOD.replace("kmeans", "kmean"), error=UnknownComponentError)
    assert "line 5, steps.2: There is no kmean among the clusterers. Did you mean kmeans?" in found
    found = message(GOOD.replace("components", "component"), error=UnknownComponentError)
    assert "pca has no parameter component. Did you mean components?" in found


def test_a_wrong_value_names_the_parameter():
    assert "line 5, steps.2: parameters of kmeans: k: Input should be a valid integer" in message(
        GOOD.replace("k: 2", "k: many")
    )


def test_a_doubled_key_is_a_fault():
    assert "line 3: seed is written twice" in message(GOOD.replace("seed: 3", "seed: 3\nseed: 4"))


def test_what_is_no_yaml_and_what_is_no_mapping():
    assert "is not YAML" in message("a: [")
    assert "holds no mapping" in message("- 1")
    assert "holds no mapping" in message("")


def test_yaml_cannot_build_objects():
    assert "is not YAML" in message("name: !!python/object/apply:os.system ['true']")


def test_data_slots_are_never_written():
    assert "obs:truth belongs to the data" in message(GOOD.replace('to: "obs:domain"', 'to: "obs:truth"'))
    assert "must be written to obs" in message(GOOD.replace('to: "obs:domain"', 'to: "obsm:domain"'))


def test_changes():
    recipe = parse(GOOD, "r", ["cluster.k=4", "pca.components=3", "2.k_from=truth"])
    assert recipe.steps[1].params["k"] == 4
    assert recipe.steps[0].params["components"] == 3
    assert recipe.steps[1].k_from == "truth"


def test_changes_that_touch_nothing():
    assert "touches no step. Did you mean cluster?" in message(GOOD, "clster.k=4")
    assert "no such parameter. Did you mean n_init?" in message(
        GOOD, "cluster.ninit=4", error=UnknownComponentError
    )
    assert "is no change" in message(GOOD, "cluster")


def test_a_slot_that_nobody_writes():
    text = GOOD.replace('x: "obsm:X_rna.pca"', 'x: "obsm:X_rna.pac"')
    with pytest.raises(
        RecipeError, match=r"step 2 \(cluster\) reads obsm:X_rna.pac \(x\), which nothing has written. Did"
    ):
        check(parse(text, "r"), lambda slot: False)


def test_a_slot_that_is_written_too_late():
    content = yaml.safe_load(GOOD)
    content["steps"] = [content["steps"][1], content["steps"][0], content["steps"][2]]
    with pytest.raises(RecipeError, match="which nothing has written"):
        check(parse(yaml.safe_dump(content), "r"))


def test_a_view_that_nobody_reads():
    extra = '  - {do: encode, use: sinusoidal, to: "obsm:X_pos"}\n'
    with pytest.raises(RecipeError, match="step 4 writes obsm:X_pos, which no step reads"):
        check(parse(GOOD + extra, "r"))


def test_a_view_overwritten_before_it_is_read():
    doubled = GOOD.replace("steps:\n", 'steps:\n  - {do: encode, use: sinusoidal, to: "obsm:X_rna.pca"}\n')
    with pytest.raises(RecipeError, match="overwrites obsm:X_rna.pca before anything has read it"):
        check(parse(doubled, "r"))
