"""A model of nuclei: pads, looks in several views, saves, and refuses what does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from triptych.core.errors import DataError, WeightsError
from triptych.core.nuclei import SegmenterModel
from triptych.nets.hv_model import HvModel, to_arrays
from triptych.nets.unet_hv import halo_px, multiple_px, started

SHAPE = {"width": 4, "depth": 3}


def model(classes=("a", "b"), seed=0, **others):
    net = started(len(classes), torch.Generator().manual_seed(seed), **SHAPE)
    with torch.no_grad():
        net.head.weight *= 30  # so that something is found
    values = {
        "mpp": 0.25, "halo_px": halo_px(3), "multiple_px": multiple_px(3),
        "threshold": 0.5, "least_px": 4, "views": 1, "losses": np.array([2.0, 1.0]),
    }  # fmt: skip
    return HvModel(to_arrays(net), "unet-hv", SHAPE, classes, **(values | others))


def window(height=40, width=56, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_it_is_a_model_of_the_room():
    assert isinstance(model(), SegmenterModel)


@pytest.mark.parametrize("classes", [("a", "b"), ()])
def test_nuclei_are_numbered_without_gaps_and_have_types(classes):
    found = model(classes).segment(window())
    assert found.instances.shape == (40, 56)
    count = found.instances.max()
    assert count > 1
    np.testing.assert_array_equal(np.unique(found.instances)[-count:], np.arange(1, count + 1))
    assert found.probabilities.shape == (count, len(classes))
    if classes:
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 3), (41, 17)])
def test_any_size_is_filled_up_with_its_reflection(height, width):
    whole = window(height, width)
    some = model().maps(whole[None])
    assert some.shape == (1, 6, height, width)
    filled = np.pad(whole, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(some, model().maps(filled[None])[:, :, :height, :width])


def test_maps_of_a_window_far_from_its_border_do_not_depend_on_it():
    one = model()
    halo, side = one.halo_px, 2 * one.halo_px + 64
    whole = window(side + 32, side + 48)
    maps, part = one.maps(whole[None]), one.maps(whole[None, 16 : 16 + side, 24 : 24 + side])
    inner = slice(halo, side - halo)
    there = maps[:, :, 16 + halo : 16 + side - halo, 24 + halo : 24 + side - halo]
    np.testing.assert_allclose(part[:, :, inner, inner], there, atol=0.02 * np.abs(maps).max())


@pytest.mark.parametrize("views", [2, 4, 8])
def test_several_views_agree_more_with_those_of_the_turned_picture(views):
    picture = window(48, 48)
    one, many = model(), model(views=views)
    upside = picture[::-1, ::-1] if views == 4 else picture[:, ::-1]

    def differ(some):
        first, second = some.maps(picture[None]), some.maps(upside[None])
        back = second[..., ::-1, ::-1] if views == 4 else second[..., ::-1]
        back = back * np.array([1, -1, -1 if views == 4 else 1, 1, 1, 1])[None, :, None, None]
        return np.abs(first - back).mean()

    assert differ(many) < 0.02 * differ(one)


def test_it_is_saved_and_restored_bit_for_bit(tmp_path):
    one = model()
    one.save(tmp_path)
    again = HvModel.load(tmp_path)
    assert again.classes == one.classes
    assert (again.halo_px, again.multiple_px, again.mpp) == (one.halo_px, one.multiple_px, one.mpp)
    np.testing.assert_array_equal(again.maps(window()[None]), one.maps(window()[None]))
    np.testing.assert_array_equal(again.segment(window()).instances, one.segment(window()).instances)


def test_weights_of_another_network_are_refused(tmp_path):
    one = model()
    with pytest.raises(ValueError, match="its weights are not those of its network"):
        replace(one, classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="its architecture nonsense is none of unet-hv"):
        replace(one, architecture="nonsense")
    with pytest.raises(ValueError, match="its views are 3"):
        replace(one, views=3)
    with pytest.raises(ValueError, match="its sizes in pixels make no sense"):
        replace(one, multiple_px=0)
    one.save(tmp_path)
    about = tmp_path / "model.json"
    about.write_text(about.read_text().replace('"width": 4', '"width": 8'))
    with pytest.raises(WeightsError, match="not those of its network"):
        HvModel.load(tmp_path)


def test_what_is_no_picture_is_refused():
    with pytest.raises(DataError, match="2 faults"):
        model().maps(np.zeros((4, 4)))
    with pytest.raises(DataError, match="float64"):
        model().segment(np.zeros((8, 8, 3)))
