"""Outlines of a study's sections, and the nuclei that people drew."""

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.pipeline.outlined import has_known, known_labels, outlines_in
from triptych.pipeline.study import Study
from triptych.readers.read import read

from ..journeys.nuclei_study import SECTIONS, TYPES, Painted, other, write, write_rings  # noqa: TID252

K1, B2 = SECTIONS[0], other(SECTIONS[3], truth=False)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "study", [K1, B2])


@pytest.fixture
def study(folder):
    return Study(read(folder))


def test_each_ring_is_that_of_its_row(study):
    found = outlines_in(study, "K1")
    rings = K1.rings()
    ids = study.table.obs["cell_id"].iloc[study.rows("K1")].tolist()
    assert len(found.row) == len(rings)
    for ring, row in enumerate(found.row):
        px = found.px[found.first[ring] : found.first[ring + 1]]
        assert px == pytest.approx(rings[int(ids[row]) - 1], abs=1e-3)


def test_a_ring_of_no_row_is_that_of_none(folder, study):
    write_rings(folder, "K1", [*K1.rings(), K1.rings()[0] + 3], [*map(str, range(1, 37)), "elsewhere"])
    assert outlines_in(study, "K1").row.tolist().count(-1) == 1


def test_known_nuclei_and_their_types(study):
    labels, types = known_labels(study, "K1")
    assert np.array_equal(labels, K1.labels())
    assert types == {i: TYPES[kind] for i, kind in enumerate(K1.nuclei()[2], 1)}
    assert has_known(study, "K1")
    assert not has_known(study, "B2")


def test_without_a_table_beside_the_picture_types_are_those_of_the_truth(folder, study):
    (folder / "truth" / "instances" / "K1.types.csv").unlink()
    _, types = known_labels(study, "K1")
    assert types == {i: TYPES[kind] for i, kind in enumerate(K1.nuclei()[2], 1)}
    study.table.obs["truth"] = study.table.obs["truth"].where(study.table.obs["instance"] != 4)
    _, fewer = known_labels(study, "K1")
    assert fewer == {number: kind for number, kind in types.items() if number != 4}
    del study.table.obs["truth"]
    assert known_labels(study, "K1")[1] == {}


def test_what_is_missing_is_told_with_what_to_do(study):
    with pytest.raises(DataError, match="B2 has no picture of known nuclei. Learn from outlines"):
        known_labels(study, "B2")
    study.table.uns["triptych"]["samples"].loc["B2", "nucleus_boundaries"] = ""
    with pytest.raises(DataError, match="B2 has no outlines of nuclei"):
        outlines_in(study, "B2")


def test_types_of_nuclei_that_are_not_there_harm_nobody(folder):
    path = folder / "truth" / "instances" / "K1.types.csv"
    frame = pd.concat([pd.read_csv(path), pd.DataFrame({"instance": [900], "type": ["dead"]})])
    frame.to_csv(path, index=False)
    from triptych.pipeline.labelling import section_of
    from triptych.pipeline.recipe import parse

    step = parse('name: s\nsteps:\n  - {do: segment, use: unet-hv, to: "nuclei:x"}\n', "s").steps[0]
    named = section_of(Study(read(folder)), step, "K1", "known")
    assert len(named.section.codes) == len(K1.rings()) + 1
    assert isinstance(K1, Painted)
