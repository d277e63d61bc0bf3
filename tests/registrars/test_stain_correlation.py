"""Known shifts are found again, and what does not belong together is refused."""

import numpy as np
import pytest
from PIL import Image

from triptych.core.errors import DataError
from triptych.core.nuclei import Outlines
from triptych.maths.polygons import centroids_px, traced
from triptych.registrars.regions import COLUMNS
from triptych.registrars.stain_correlation import StainCorrelation
from triptych.tiles.slide import array_slide

MPP = 0.25


def moved(outlines, by):
    """Outlines with each ring moved by a row of ``by``."""
    px = outlines.px + np.repeat(np.broadcast_to(by, (len(outlines.row), 2)), np.diff(outlines.first), axis=0)
    return Outlines(px.astype(np.float32), outlines.first, outlines.row)


def register(section, by, **params):
    outlines = moved(section.outlines, by)
    return StainCorrelation(**params).register(outlines, section.centres + by, section.slide, MPP)


@pytest.mark.parametrize("by", [(0, 0), (11.3, -7.8), (-20, 20), (0.5, 0), (-33.0, 2.25)])
def test_a_known_shift_is_found_to_a_fraction_of_a_pixel(section, by):
    found = register(section, np.array(by, float))
    assert not found.refused
    assert np.abs(found.shift_px + by).max() < 0.3
    assert found.score > 10
    assert found.regions["used"].all()
    assert tuple(found.regions.columns) == COLUMNS


def test_scale_and_rotation_are_found(section):
    z = (section.centres - 500) @ [1, 1j]
    by = z * (1.008 * np.exp(0.004j) - 1) + (6 - 9j)
    by = np.column_stack([by.real, by.imag])
    found = register(section, by)
    assert np.linalg.norm(found.shift_px + by, axis=1).max() < 0.8
    assert found.regions["scale"].iloc[0] == pytest.approx(1 / 1.008, abs=0.001)


def test_noise_does_not_turn_a_shift_into_a_scale(section):
    assert register(section, np.array([5.0, 5.0])).regions["scale"].eq(1).all()


def test_one_region_gives_a_shift(section):
    found = register(section, np.array([8.0, -4.0]), most_regions=1)
    assert len(found.regions) == 1
    np.testing.assert_allclose(found.shift_px, np.tile([-8, 4], (400, 1)), atol=0.4)


def test_scores_tell_before_from_after(section):
    rows = register(section, np.array([15.0, 0.0])).regions
    assert (rows["score"] > rows["score_before"] + 5).all()
    still = register(section, np.zeros(2)).regions
    np.testing.assert_allclose(still["score"], still["score_before"], rtol=0.05)


def test_lost_false_and_trembling_nuclei(section):
    rng = np.random.default_rng(4)
    by = np.array([-12.0, 17.0])
    noise = rng.normal(0, 2, (400, 2))
    noise[:60] = rng.uniform(-400, 400, (60, 2))  # they are nowhere near
    outlines = moved(section.outlines, by + noise)
    found = StainCorrelation().register(outlines, section.centres + by, section.slide, MPP)
    assert np.linalg.norm(found.shift_px + by, axis=1).mean() < 1


def test_a_region_that_lies_elsewhere_is_left_out(section):
    by = np.tile([6.0, 6.0], (400, 1))
    by[(section.centres < 500).all(axis=1)] = [-25.0, 10.0]  # one quarter of the tissue was folded
    found = register(section, by)
    assert found.regions["used"].tolist() == [False, True, True, True]
    np.testing.assert_allclose(found.shift_px, np.tile([-6, -6], (400, 1)), atol=0.5)
    first = found.regions.iloc[0]
    np.testing.assert_allclose([first["dx_px"], first["dy_px"]], [25, -10], atol=0.6)


def test_outlines_of_another_section_are_refused(section):
    rng = np.random.default_rng(9)
    for _ in range(3):
        centres = rng.uniform(0, 1000, (400, 2))
        outlines = moved(section.outlines, centres - section.centres)
        found = StainCorrelation().register(outlines, centres, section.slide, MPP)
        assert "do not lie on the haematoxylin" in found.refused
        assert found.score < 4
        assert not found.shift_px.any()


def test_a_shift_beyond_the_range_is_refused_and_the_range_can_be_widened(section):
    by = np.array([60.0, 0.0])
    assert "is max_shift_um large enough?" in register(section, by).refused
    assert np.abs(register(section, by, max_shift_um=20.0).shift_px + by).max() < 0.5


def test_glass_is_refused(section):
    white = array_slide(np.full_like(section.pixels, 255))
    found = StainCorrelation().register(section.outlines, section.centres, white, MPP)
    assert "0 of 4 regions agree" in found.refused
    assert found.score == 0


def test_few_nuclei_are_refused_with_their_number(section):
    few = Outlines(section.outlines.px[: 24 * 12], section.outlines.first[:13], np.arange(12))
    found = StainCorrelation().register(few, section.centres[:12], section.slide, MPP)
    assert found.refused.startswith("Of 12 outlines at most 8 lie in one region")  # others at the edge
    assert "20 are needed (least_nuclei)" in found.refused
    assert len(found.regions) == 0
    assert np.isnan(found.score)


def test_no_nuclei_and_nuclei_beside_the_picture_are_refused(section):
    none = Outlines(np.empty((0, 2), np.float32), np.zeros(1, int), np.empty(0, int))
    assert StainCorrelation().register(none, np.empty((0, 2)), section.slide, MPP).refused
    assert "at most 0" in register(section, np.array([5000.0, 0.0])).refused


def test_a_tiny_picture_is_refused(section):
    tiny = array_slide(section.pixels[:120, :120])
    assert StainCorrelation().register(section.outlines, section.centres, tiny, MPP).refused


def test_sparse_nuclei_get_wider_regions(section):
    rows = np.arange(60)
    sparse = Outlines(section.outlines.px[: 24 * 60], section.outlines.first[:61], rows)
    by = np.array([7.0, 3.0])
    found = StainCorrelation(least_nuclei=30).register(moved(sparse, by), section.centres[:60] + by,
                                                      section.slide, MPP)  # fmt: skip
    assert len(found.regions) == 1
    np.testing.assert_allclose(found.shift_px, np.tile(-by, (60, 1)), atol=0.5)


def test_only_regions_are_read_and_none_beyond_the_picture(section, watched):
    StainCorrelation(most_regions=2).register(section.outlines, section.centres, watched.slide, MPP)
    assert len(watched.read) == 2
    for x0, y0, width, height in watched.read:
        assert x0 >= 0
        assert y0 >= 0
        assert max(x0 + width, y0 + height) <= 1000
        assert max(width, height) <= 4 * (125 + 20) + 2


def test_another_resolution_gives_the_same_micrometres(section):
    half = section.pixels.reshape(500, 2, 500, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    by = np.array([9.0, -13.0])
    outlines = moved(section.outlines, by)
    small = Outlines(outlines.px / 2, outlines.first, outlines.row)
    found = StainCorrelation().register(small, (section.centres + by) / 2, array_slide(half), 0.5)
    assert np.abs(found.shift_px + by / 2).max() < 0.25


def test_twice_the_same_bits(section):
    one, other = (register(section, np.array([3.0, 4.0])) for _ in range(2))
    assert one.shift_px.tobytes() == other.shift_px.tobytes()
    assert one.regions.equals(other.regions)


@pytest.mark.parametrize(
    ("params", "words"),
    [({"max_shift_um": 0.5}, "max_shift_um must be from 1 to 100"),
     ({"region_um": 15.0}, "region_um must be from twice max_shift_um, 20, to 1000"),
     ({"most_regions": 0}, "most_regions must be at least 1"),
     ({"least_nuclei": 0}, "least_nuclei must be at least 1"),
     ({"least_score": 0.0}, "least_score must be above 0")],
)  # fmt: skip
def test_parameters_out_of_range(params, words):
    with pytest.raises(ValueError, match=words):
        StainCorrelation(**params)


@pytest.mark.parametrize("mpp", [np.nan, 0.0, -0.25])
def test_without_a_scale(section, mpp):
    with pytest.raises(DataError, match="the section has no scale"):
        StainCorrelation().register(section.outlines, section.centres, section.slide, mpp)


@pytest.mark.data
@pytest.mark.parametrize("organ", ["breast", "kidney"])
def test_outlines_drawn_by_hand_are_found_again(real_data, organ):
    pictures = []
    for path in sorted((real_data / "monuseg/images").glob(f"{organ}_*.jpg"))[:3]:
        labels = np.asarray(Image.open(real_data / "monuseg/instances" / f"{path.stem}.png")).astype(np.int32)
        pictures.append((array_slide(np.asarray(Image.open(path).convert("RGB"))), traced(labels)))
    for at, (slide, outlines) in enumerate(pictures):
        centres, by = centroids_px(outlines), np.array([13.0, -18.0])
        found = StainCorrelation().register(moved(outlines, by), centres + by, slide, MPP)
        assert np.linalg.norm(found.shift_px + by, axis=1).mean() < 2.5  # hands have a bias of a pixel
        other = pictures[at - 1][1]
        assert StainCorrelation().register(other, centroids_px(other), slide, MPP).refused
