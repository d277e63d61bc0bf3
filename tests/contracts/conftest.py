"""What every room's contract shares: parameters small enough for a test, and what a class must declare."""

import inspect
import json
from dataclasses import MISSING, asdict, fields, is_dataclass

import numpy as np
import pytest

from triptych.core.errors import RecipeError, WeightsError
from triptych.core.models import ABOUT, ARRAYS
from triptych.core.protocols import Places

# Values that make any component small: each is used where a parameter of that name exists.
SMALL = {
    "components": 4, "dim": 8, "k": 3, "n_init": 2, "epochs": 2, "latent": 4, "batch_size": 32,
    "neighbours": 5, "hidden": (32, 32), "least_steps": 100, "steps": 200, "trees": 20,
    "crop_px": 40, "channels": (4, 4, 4), "spot_channels": (4, 4, 4), "stain_channels": (2, 4, 4),
    "least_transcripts": 1, "count": 5, "least": 2,
    "reference_epochs": 2, "fewest_genes": 10,
}  # fmt: skip


@pytest.fixture
def small(request):
    """Build a component with small parameters, and tiny weights where it needs some."""

    def build(registry, name, **more):
        cls, wanted = registry.find(name), SMALL | more
        known = {field.name: field.default for field in fields(cls)}
        # Only values of the kind that the parameter has: a name may mean something else elsewhere.
        params = {key: value for key, value in wanted.items() if type(known.get(key)) is type(value)}
        if hasattr(cls, "card"):
            params["weights"] = str(request.getfixturevalue("published")(name)[1])
        if known.get("model") == "":  # of a fitted segmenter
            params["model"] = str(request.getfixturevalue("segmenter"))
        return registry.make(name, params)

    return build


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory):
    """The folder of a network for nuclei of two classes, as it is before its training, at 1 µm per pixel."""
    import torch

    from triptych.nets.hv_model import HvModel, to_arrays
    from triptych.nets.unet_hv import halo_px, multiple_px, started

    shape, folder = {"width": 4, "depth": 2}, tmp_path_factory.mktemp("segmenter")
    net = started(2, torch.Generator().manual_seed(0), **shape)
    HvModel(
        to_arrays(net), "unet-hv", shape, ("a", "b"), 1.0,
        halo_px=halo_px(2), multiple_px=multiple_px(2), threshold=0.5, least_px=2, views=1,
        losses=np.zeros(1),
    ).save(folder)  # fmt: skip
    return folder


@pytest.fixture
def declares():
    """Check what the class of a component says about itself."""

    def check(registry, name, component):
        cls = type(component)
        assert is_dataclass(cls)
        assert cls.__dataclass_params__.frozen
        assert all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls))
        assert isinstance(cls.revision, int)
        assert cls.revision >= 1
        assert isinstance(cls.random, bool)
        assert isinstance(cls.cite, str)
        assert not {"revision", "random", "cite"} & {field.name for field in fields(cls)}
        assert cls.__doc__
        assert not cls.__doc__.startswith(cls.__name__ + "(")  # what dataclass writes when nobody did
        told = {part for line in inspect.getdoc(cls).splitlines() for part in line.split(", ")}
        missing = {field.name for field in fields(cls)} - told
        assert not missing, f"{sorted(missing)} are not documented"
        assert name == name.lower()
        assert "_" not in name
        assert registry.make(name, json.loads(json.dumps(asdict(component)))) == component

    return check


@pytest.fixture
def places():
    """Two sections of 40 spots on a hexagonal lattice of 100 µm, rows of both mixed."""
    rng = np.random.default_rng(5)
    row, column = np.divmod(np.arange(40), 5)
    grid = np.tile(np.stack([2 * column + row % 2, row], axis=1), (2, 1))
    order = rng.permutation(80)
    um = grid[order] * [50.0, 100 * np.sqrt(0.75)]
    return Places(um, np.repeat([0, 1], 40)[order], grid=grid[order], lattice="hex")


@pytest.fixture
def scattered():
    """Two sections of 40 cells at random, where no distances tie."""
    rng = np.random.default_rng(6)
    return Places(rng.uniform(0, 800, (80, 2)), rng.permutation(np.repeat([0, 1], 40)))


@pytest.fixture
def unchanged():
    """Freeze arrays, so that writing to one of them raises."""

    def freeze(*arrays):
        for array in arrays:
            parts = (array.data, array.indices, array.indptr) if hasattr(array, "indptr") else (array,)
            for part in parts:
                part.flags.writeable = False

    return freeze


@pytest.fixture
def twice():
    """Run something from the same seed twice, and compare every bit."""

    def run(function):
        one, two = function(np.random.default_rng(9)), function(np.random.default_rng(9))
        for a, b in ((one, two),) if not hasattr(one, "indptr") else zip(parts(one), parts(two), strict=True):
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()
        return one

    def parts(matrix):
        return matrix.data, matrix.indices, matrix.indptr

    return run


@pytest.fixture
def restored(tmp_path):
    """Save a model and read it through its component."""

    def keep(component, model):
        model.save(tmp_path / "model")
        return component.restore(tmp_path / "model")

    return keep


@pytest.fixture
def refuses_damage(tmp_path):
    """Damage each file of a saved model in turn: whatever was done to it, it must not load."""

    def check(component, model):
        folder = tmp_path / "damaged"
        model.save(folder)
        sound = {name: (folder / name).read_bytes() for name in (ARRAYS, ABOUT)}
        about = json.loads(sound[ABOUT])
        values = about["values"]
        arrays = [field.name for field in fields(model) if field.name not in values]  # some models have none
        wrong = [
            *((ABOUT, json.dumps(about | {"values": values | {one: [1]}}).encode()) for one in arrays[:1]),
            (ARRAYS, b""), (ARRAYS, sound[ARRAYS][:-1]), (ARRAYS, sound[ARRAYS][: len(sound[ARRAYS]) // 2]),
            (ABOUT, b"{"), (ABOUT, b"\xff\xfe"), (ABOUT, b"[1]"),
            (ABOUT, json.dumps(about | {"values": [1]}).encode()),
            (ABOUT, json.dumps(about | {"format": 99}).encode()),
            (ABOUT, json.dumps(about | {"model": "FittedOther"}).encode()),
            (ABOUT, json.dumps(about | {"values": values | {"stranger": 1}}).encode()),
        ]  # fmt: skip
        for name, content in wrong:
            (folder / name).write_bytes(content)
            with pytest.raises(WeightsError):
                component.restore(folder)
            (folder / name).write_bytes(sound[name])
        component.restore(folder)
        (folder / ARRAYS).unlink()
        with pytest.raises(WeightsError, match=f"holds no {ARRAYS}"):
            component.restore(folder)

    return check


@pytest.fixture
def refuses_nonsense():
    """Set each number of a component to what no number of it can be: the refusal must name the parameter."""

    def check(registry, component, name):
        given = asdict(component)
        numbers = [key for key, value in given.items() if type(value) in (int, float)]
        for key in numbers:
            for wrong in (-(10**9), float("nan")):
                with pytest.raises(RecipeError, match=rf"parameters of {name}: .*\b{key}\b"):
                    registry.make(name, given | {key: wrong})
        return numbers

    return check


@pytest.fixture
def same_bits():
    """Compare every bit of two results, dense or sparse."""

    def compare(one, other):
        assert type(one) is type(other)
        parts = [one, other]
        if hasattr(one, "indptr"):
            parts = [np.concatenate([m.indptr, m.indices, m.data.view(np.uint8)]) for m in parts]
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert parts[0].tobytes() == parts[1].tobytes()

    return compare
