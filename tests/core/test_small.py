"""Errors, checks, slots, randomness, progress, settings, extras, executors."""

import numpy as np
import pytest

from triptych.core import errors, executors, progress, settings
from triptych.core.checks import Faults, listing, nearest
from triptych.core.extras import check as check_extras
from triptych.core.extras import need
from triptych.core.randomness import generator, torch_generator
from triptych.core.slots import Slot


def test_a_missing_slot_reads_as_a_sentence_and_is_a_key_error():
    error = errors.MissingSlotError("The table has no obsm:X.", "Add a step.")
    assert str(error) == "The table has no obsm:X. Add a step."
    assert isinstance(error, KeyError)
    assert isinstance(error, errors.DataError)


def test_exit_codes():
    codes = {cls.__name__: cls.exit_code for cls in vars(errors).values() if hasattr(cls, "exit_code")}
    assert codes["DataError"] == codes["RecipeError"] == codes["OutputError"] == 2
    assert codes["UnknownComponentError"] == 3
    assert codes["MissingExtraError"] == codes["WeightsError"] == 4
    assert codes["NumericsError"] == 5


def test_faults_are_shown_together_and_not_without_end():
    faults = Faults("here")
    faults.raise_if_any()
    faults.add("one")
    with pytest.raises(errors.DataError, match="^here: one$"):
        faults.raise_if_any()
    for number in range(20):
        assert not faults.check(False, f"fault {number}")
    with pytest.raises(errors.DataError, match=r"here: 21 faults\n  - one\n  - fault 0(?s:.*)and 9 more"):
        faults.raise_if_any()


def test_nearest_and_listing():
    assert nearest("kmean", ["kmeans", "leiden"]) == "Did you mean kmeans?"
    assert nearest("zzz", ["kmeans"]) == "There is: kmeans."
    assert listing([]) == "nothing"
    assert listing("abc", 2) == "a, b and 1 more"


@pytest.mark.parametrize("text", ["X", "obsm:", "uns:x", "obsm:a b", "obsm:../x", "obsm:a/b"])
def test_what_is_no_slot(text):
    with pytest.raises(errors.RecipeError, match="is not a slot"):
        Slot.parse(text)


def test_a_slot_round_trips():
    assert str(Slot.parse("obsm:X_img.uni2-h.harmony")) == "obsm:X_img.uni2-h.harmony"


def test_generators_depend_on_seed_and_step():
    key, other = "ab" * 32, "cd" * 32
    draw = generator(1, key).random(4)
    assert (generator(1, key).random(4) == draw).all()
    assert (generator(2, key).random(4) != draw).all()
    assert (generator(1, other).random(4) != draw).all()


def test_torch_generator_leaves_the_global_state_alone(rng):
    import torch

    before = torch.get_rng_state()
    torch_generator(rng)
    assert torch.equal(before, torch.get_rng_state())


def test_progress_is_silent_until_someone_listens():
    heard = []
    list(progress.track([1, 2], "a", 2))
    with progress.listening(lambda *what: heard.append(what)):
        assert list(progress.track([1, 2], "b", 2)) == [1, 2]
    assert heard == [("b", 0, 2), ("b", 1, 2), ("b", 2, 2)]


def test_cache_folder_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path))
    assert settings.cache_dir() == tmp_path
    monkeypatch.delenv("TRIPTYCH_CACHE_DIR")
    assert settings.cache_dir().name == "triptych"


def test_a_missing_extra_names_itself():
    with pytest.raises(
        errors.MissingExtraError, match=r"no_such_thing is not installed. pip install 'triptych\[pixels\]'"
    ):
        need("no_such_thing", "pixels")


def test_an_import_error_inside_an_installed_package_surfaces(tmp_path, monkeypatch):
    (tmp_path / "broken_inside.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency") as caught:
        need("broken_inside", "pixels")
    assert not isinstance(caught.value, errors.MissingExtraError)


def square(x):
    return np.square(x)


@pytest.mark.parametrize("text", ["serial", "threads", "threads:3"])
def test_executors_keep_the_order(text):
    assert executors.executor(text).map(square, [1, 2, 3]) == [1, 4, 9]


def test_an_unknown_executor():
    with pytest.raises(errors.UnknownComponentError, match=r"no executor thread. Did you mean threads\?"):
        executors.executor("thread")


def test_a_torchvision_of_another_build_is_told_of(monkeypatch):
    def broken(name):
        raise RuntimeError(f"operator torchvision::nms does not exist ({name})")

    monkeypatch.setattr("triptych.core.extras.import_module", broken)
    with pytest.raises(
        errors.MissingExtraError, match="scvi imports torchvision, which was built for another torch"
    ):
        need("scvi", "align")

    def other(name):
        raise RuntimeError(name)

    monkeypatch.setattr("triptych.core.extras.import_module", other)
    with pytest.raises(RuntimeError, match="scvi"):
        need("scvi", "align")


def test_all_missing_packages_are_told_together_and_nothing_is_imported():
    class One:
        extra = ("no_such_package", "align")

    class Two:
        extra = ("nor_this_one", "umap")

    class Here:
        extra = ("json", "pixels")

    with pytest.raises(errors.MissingExtraError) as caught:
        check_extras([One(), Two(), One(), Here(), object()])
    assert str(caught.value) == (
        "no_such_package and nor_this_one are not installed. pip install 'triptych[align,umap]'"
    )
    check_extras([Here(), object()])
