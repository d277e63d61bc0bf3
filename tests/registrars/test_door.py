"""What every registrar refuses, all together."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.core.nuclei import Outlines
from triptych.registrars import registry

NAMES = pytest.mark.parametrize("name", list(registry))


@NAMES
def test_all_faults_together(name, section):
    px = np.array([[0, 0], [9, 0], [9, np.nan], [1, 1], [2, 2]], np.float32)
    outlines = Outlines(px, np.array([0, 3, 5]), np.array([0, 1]))
    with pytest.raises(DataError) as caught:
        registry.make(name, {}).register(outlines, np.array([[np.inf, 1.0]]), section.slide, 0.25)
    said = str(caught.value)
    assert "1 of 1 centres are not finite" in said
    assert "1 vertices of the outlines are not finite" in said
    assert "1 outlines have fewer than 3 vertices" in said


@NAMES
def test_centres_of_another_shape(name, section):
    with pytest.raises(DataError, match=r"shape \(4, 3\); they need \(n, 2\)"):
        registry.make(name, {}).register(section.outlines, np.zeros((4, 3)), section.slide, 0.25)
