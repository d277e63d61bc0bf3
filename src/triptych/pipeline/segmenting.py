"""Segmentation between the table and the segmenters: what is learned from, held out and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.nuclei import Found, Overlaps, SegmenterModel
from triptych.core.protocols import Codes
from triptych.maths.overlaps import OverlapsBuilder, joined, with_classes
from triptych.pipeline.label_sections import Box, LabelSection
from triptych.pipeline.labelling import Named, organ_of, section_of, store_of, tile_of, usable
from triptych.pipeline.outlined import has_known
from triptych.pipeline.study import STUDY, Study

BLOCK_PX: Final = 1024  # largest side of a picture that is judged as one
MOST_BLOCKS: Final = 64  # of a section that are judged
WORDS: Final = {
    "organ": "organ held out",
    "donor": "donor held out",
    "sample": "section held out, its donor in the fit",
    "none": "nothing held out",
}
WEAKER: Final = {
    "donor": "Donors were held out, not organs: other donors' tissue of the same organ is in the fit.",
    "sample": "Sections were held out, not organs: other sections of a donor are in the fit, which flatters.",
    "none": "Nothing was held out: the model is fitted on everything and judged on nothing here.",
}


def folds_of(study: Study, held_out: str) -> dict[str, list[str]]:
    """Name of each fold → its sections; none where nothing is held out.

    Raises
    ------
    DataError
        When there is but one organ, donor or section, so that nothing is left to learn from.
    """
    if held_out == "none":
        return {}
    kind = {
        "organ": {name: organ_of(study, name) for name in study.samples},
        "donor": study.donors,
        "sample": {name: name for name in study.samples},
    }[held_out]
    names = sorted(set(kind.values()))
    if len(names) < 2:
        raise DataError(
            f"All sections are of one {held_out} ({listing(names)}): without it nothing is left to learn.",
            "Bring another, or take weaker evidence: --set segment.held_out=donor, sample or none.",
        )
    return {
        f"{held_out} {name}": [sample for sample in study.samples if kind[sample] == name] for name in names
    }


def gathered(study: Study, step: Any, unit: str) -> dict[str, Any]:
    """What one fold of a segment step needs: the tiles to learn from, and what is judged.

    Parameters
    ----------
    study
        The data.
    step
        Of the recipe.
    unit
        Name of a fold; or `STUDY`, for the fit on all.
    """
    held = [] if unit == STUDY else folds_of(study, step.held_out)[unit]
    there = set(usable(study, step))
    store = store_of(study, step)
    kept = ~store.about["sample"].isin(held).to_numpy()
    if not kept.any():
        raise DataError(f"No tile is left to learn from once {unit} is held out.", "Bring more sections.")
    return {
        "tiles": store if kept.all() else store.subset(np.flatnonzero(kept)),
        "judged": [
            judged_section(study, step, name) for name in held if name in there or has_known(study, name)
        ],
        "unit": unit,
    }


def judged_section(study: Study, step: Any, sample: str) -> Named:
    """A section with what its nuclei are held against: known labels, else outlines and types.

    Raises
    ------
    DataError
        When there are neither.
    """
    return section_of(study, step, sample, "known" if has_known(study, sample) else "outlines")


def segmented(component: Any, given: Mapping[str, Any], rng: np.random.Generator) -> tuple[Overlaps, Any]:
    """Fit without what is held out, then find the nuclei of that; and what was learned."""
    model = component.fit(given["tiles"], rng).model
    fit_organs = frozenset(given["tiles"].about["organ"].astype(str))
    return judged(model, given["judged"], fit_organs), model


def judged(model: SegmenterModel, sections: Sequence[Named], fit_organs: frozenset[str]) -> Overlaps:
    """What a model finds in sections, beside what is known of them."""
    known = {name for one in sections for name in one.names}
    classes = tuple(sorted(known | set(model.classes)))
    builder = OverlapsBuilder(classes, model.mpp)
    of_model = np.array([classes.index(name) for name in model.classes], np.int64)
    for one in sections:
        section, to_class = one.section, np.array([classes.index(n) for n in one.names] + [-1], np.int64)
        for box in blocks_of(section):
            pixels = section.pixels(box)
            truth = tile_of(pixels, section.region(box, pixels), to_class)
            instances = truth.instances[0]
            kind = np.full(int(instances.max(initial=0)) + 1, -1, np.int64)
            shown = truth.types[0].astype(np.int64)
            kind[instances] = np.where(shown == 255, -1, shown - 1)
            found = inside(model, section, box)
            builder.add(
                (instances, kind[1:]), (found.instances, types_found(found, of_model)),
                organ=section.organ, sample=section.sample, ignore=truth.ignore[0],
                seen=section.organ in fit_organs,
            )  # fmt: skip
    return builder.done()


def types_found(found: Found, of_model: Codes) -> Codes:
    """The likeliest type of each nucleus, in the codes of all classes; -1 where none is told."""
    if not found.probabilities.shape[1]:
        return np.full(len(found.probabilities), -1, np.int64)
    return np.asarray(of_model[found.probabilities.argmax(axis=1)], np.int64)


def inside(model: SegmenterModel, section: LabelSection, box: Box) -> Found:
    """The nuclei of a region, found with what lies around it in view."""
    x0, y0, width, height = box
    halo, of = model.halo_px, model.multiple_px
    left, top = (x0 - halo) // of * of, (y0 - halo) // of * of
    wide = -(-(x0 + width + halo - left) // of) * of
    tall = -(-(y0 + height + halo - top) // of) * of
    whole = model.segment(section.pixels((left, top, wide, tall)))
    cut = whole.instances[y0 - top : y0 - top + height, x0 - left : x0 - left + width]
    there = np.unique(cut)
    there = there[there > 0]
    renumbered = np.zeros(int(whole.instances.max(initial=0)) + 1, np.int32)
    renumbered[there] = np.arange(1, len(there) + 1)
    return Found(renumbered[cut], whole.probabilities[there - 1])


def blocks_of(section: LabelSection) -> list[Box]:
    """The pictures that are judged: what labels speak of, whole where it is small, else some blocks of it."""
    x0, y0, width, height = section.bounds
    found = list(_grid(x0, y0, width, height))
    if len(found) <= MOST_BLOCKS:
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, MOST_BLOCKS).round().astype(int)]


def _grid(x0: int, y0: int, width: int, height: int) -> Iterator[Box]:
    rows, columns = (max(1, -(-length // BLOCK_PX)) for length in (height, width))
    ys = np.linspace(y0, y0 + height, rows + 1).round().astype(int).tolist()
    xs = np.linspace(x0, x0 + width, columns + 1).round().astype(int).tolist()
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            yield left, top, right - left, bottom - top


def together(made: Mapping[str, Any]) -> Overlaps:
    """What all folds gave, as one, with the types of all."""
    classes = sorted({name for one in made.values() for name in one.classes})
    return joined([with_classes(one, classes) for one in made.values()])
