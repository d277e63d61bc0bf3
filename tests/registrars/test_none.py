"""Nothing is moved, looked at or refused."""

import numpy as np

from triptych.registrars.none import NoRegistration
from triptych.registrars.regions import COLUMNS


def test_nothing_is_moved(section, watched):
    found = NoRegistration().register(section.outlines, section.centres, watched.slide, float("nan"))
    assert found.shift_px.shape == section.centres.shape
    assert not found.shift_px.any()
    assert np.isnan(found.score)
    assert found.refused == ""
    assert tuple(found.regions.columns) == COLUMNS
    assert len(found.regions) == 0
    assert found.regions["used"].dtype == bool
    assert not watched.read
