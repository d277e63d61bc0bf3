"""What hovernet and cellvit refuse before anything runs; no optional package is needed for it."""

import pytest

from triptych.core.errors import RecipeError
from triptych.segmenters import registry


@pytest.mark.parametrize("name", ["hovernet", "cellvit"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"encoder": ""}, "encoder must be named"),
        ({"weights": ""}, "weights a file, a folder, hub or none"),
        ({"weights": "none", "frozen": True}, "frozen needs weights"),
        ({"widths": (64, 64, 16)}, "widths must be four positive numbers"),
        ({"widths": (64, 64, 16, 0)}, "widths must be four positive numbers"),
        ({"mean": (0.5, 0.5)}, "mean must be three numbers or empty"),
        ({"std": (0.5, 0.5, float("nan"))}, "std must be three numbers or empty"),
        ({"std": (0.5, 0.5, 0.0)}, "std must be positive"),
        ({"steps": 0}, "steps, batch and crop_px must be at least 1"),
        ({"learning_rate": 1.0}, "learning_rate must be between 0 and 1"),
        ({"stain_jitter": -1.0}, "stain_jitter must be from 0 to 4"),
        ({"balance": 2.0}, "balance must be from 0 to 1"),
        ({"threshold": 1.0}, "threshold between 0 and 1"),
        ({"least_um2": float("inf")}, "least_um2 must be at least 0"),
        ({"views": 3}, "views must be one of"),
    ],
)
def test_out_of_range(name, params, message):
    with pytest.raises(RecipeError, match=message):
        registry.make(name, params)


def test_dense_units_come_in_groups():
    with pytest.raises(RecipeError, match="the first 2 widths must be multiples of 64"):
        registry.make("hovernet", {"widths": (128, 32, 16, 16)})
    assert registry.make("cellvit", {"widths": (128, 32, 16, 16)}).widths == (128, 32, 16, 16)
