"""The label factory: sections with outlines and types → a store of labelled tiles on disk."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.core.nuclei import UNKNOWN, Tiles
from triptych.core.progress import track
from triptych.core.protocols import Indices
from triptych.core.randomness import generator
from triptych.core.settings import cache_dir
from triptych.core.slots import Slot
from triptych.pipeline import identity
from triptych.pipeline.label_sections import (
    Box,
    Harmful,
    Labels,
    LabelSection,
    OutlinedSection,
    PicturedSection,
    some_rings,
)
from triptych.pipeline.outlined import known_labels, outlines_in
from triptych.pipeline.study import STUDY, Study
from triptych.tiles.label_store import LabelStore, LabelStoreWriter

log = logging.getLogger(__name__)
FOLDER: Final = "tiles"  # of the cache, and of a run
REVISION: Final = 1  # rises when the tiles of the same labels change
NOTHING: Final = (
    "Look at the pictures and their outlines; register.use=none takes the outlines as they are, "
    "segment.learn_from=known what people drew."
)
EMPTY: Final = 0.1  # tiles without a nucleus that are kept, as a share of those with some


class Named(NamedTuple):
    """A section with the names of its types, whose positions are its codes."""

    section: LabelSection
    names: list[str]


def section_of(study: Study, step: Any, sample: str, learn_from: str) -> Named:
    """A section for the factory.

    Raises
    ------
    DataError
        When its outlines or labels are missing or damaged, or it has no µm per pixel.
    """
    study.pixels(sample)  # the door: a picture and its resolution
    about = study.about.loc[sample].to_dict()
    image_scale = float(about["image_scale"])
    common = {
        "sample": sample, "donor": str(about["donor"]), "organ": organ_of(study, sample),
        "image": str(about["image"]), "scale": float(about["mpp"]) / image_scale / step.mpp, "mpp": step.mpp,
    }  # fmt: skip
    if learn_from == "known":
        labels, types = known_labels(study, sample)
        names = sorted(set(types.values()))
        codes = np.full(int(labels.max(initial=0)) + 1, -1, np.int64)
        there = {number: name for number, name in types.items() if 0 < number < len(codes)}
        codes[list(there)] = [names.index(name) for name in there.values()]
        return Named(PicturedSection(**common, labels=labels, codes=codes), names)
    outlines = outlines_in(study, sample)
    code, names = np.full(len(study.rows(sample)), -1), list[str]()
    if step.types and study.has(step.types):
        code, names = study.codes(step.types, sample)
    old = np.asarray(study.array(slots.SPATIAL, sample), float)
    moved = np.asarray(study.array(step.places, sample), float) - old
    middle = np.nanmedian(moved, axis=0) if np.isfinite(moved).all(axis=1).any() else np.full(2, np.nan)
    shift = np.vstack([moved, middle])[outlines.row] * image_scale  # row -1 is the last one
    scaled = outlines if image_scale == 1 else replace_px(outlines, image_scale)
    kinds = np.concatenate([code, [-1]])[outlines.row]
    placed = np.asarray(np.isfinite(shift).all(axis=1))
    section = OutlinedSection(
        **common, outlines=some_rings(scaled, placed), shift_px=shift[placed], types=kinds[placed]
    )
    return Named(section, names)


def replace_px(outlines: Any, scale: float) -> Any:
    """Outlines in pixels of an image that has ``scale`` pixels for each of theirs."""
    return type(outlines)((outlines.px * scale).astype(np.float32), outlines.first, outlines.row)


def organ_of(study: Study, sample: str) -> str:
    """The organ of a section; ``unknown`` where nobody says."""
    column = study.about.get("organ")
    return str(column.loc[sample] or "unknown") if column is not None else "unknown"


def usable(study: Study, step: Any) -> list[str]:
    """The sections whose nuclei may be learned from: those that were not refused when registered."""
    places = np.isfinite(np.asarray(study.array(step.places, STUDY), float)).all(axis=1)
    return [name for name in study.samples if step.learn_from == "known" or places[study.rows(name)].any()]


def store_of(study: Study, step: Any) -> LabelStore:
    """The store of all labelled tiles of a study, made where it is not in the cache.

    Raises
    ------
    DataError
        When no section has a nucleus to learn from.
    """
    folder = cache_dir() / FOLDER / _key(study, step)
    if (folder / "manifest.json").is_file() and (there := _opened(folder)) is not None:
        return there
    names = usable(study, step)
    sections = {name: section_of(study, step, name, step.learn_from) for name in names}
    classes = tuple(sorted({name for one in sections.values() for name in one.names}))
    if not any(len(one.section.centres_px) for one in sections.values()):
        raise DataError(f"No section has a nucleus to learn from. {refused(study, step)}".rstrip(), NOTHING)
    half = folder.with_name(f"{folder.name}.{os.getpid()}")  # another process may be making the same
    writer = LabelStoreWriter(half, classes, step.mpp, step.tile_px)
    for one in track(list(sections.values()), "labelled tiles", len(sections)):
        harmful = _harm(one.section, step.harm)
        section = one.section.with_harm(harmful, len(one.names)) if harmful else one.section
        to_class = np.array([classes.index(name) for name in one.names] + [-1])
        for box in boxes_of(section, step.tile_px, step.most_tiles):
            pixels = section.pixels(box)
            tile = tile_of(pixels, section.region(box, pixels), to_class)
            about = {
                "sample": section.sample, "donor": section.donor, "organ": section.organ,
                "x_px": box[0], "y_px": box[1],
            }  # fmt: skip
            writer.add(tile.image[0], tile.instances[0], tile.types[0], tile.ignore[0], about)
    writer.close({"learn_from": step.learn_from, "harm": step.harm.model_dump(), "quality": _quality(study)})
    _put(half, folder)
    return LabelStore.open(folder)


def _opened(folder: Path) -> LabelStore | None:
    """A finished store; None when it is damaged, which is logged, and it is then out of the way."""
    try:
        return LabelStore.open(folder)
    except DataError as error:
        log.warning("labelled tiles in the cache are damaged (%s) and are made again", error.message)
        shutil.rmtree(folder)
        return None


def _put(made: Path, folder: Path) -> None:
    """Give a finished store its name, unless another process has been faster."""
    try:
        made.rename(folder)
    except OSError:
        if not (folder / "manifest.json").is_file():
            raise
        shutil.rmtree(made)


def _key(study: Study, step: Any) -> str:
    """Identity of the store."""
    read = [slots.IMAGE, slots.OUTLINES, step.places, slots.SPATIAL]
    read += [step.types] if step.types and study.has(step.types) else []
    read += [slots.TRUTH] if step.learn_from == "known" and study.has(slots.TRUTH) else []
    said = [study.codes(slot, STUDY)[1] if slot.startswith("obs:") else [] for slot in read]
    about = study.about.reindex(columns=["donor", "organ"]).astype(str).to_numpy().tolist()
    chosen = step.model_dump(mode="json", include={"learn_from", "mpp", "tile_px", "most_tiles", "harm"})
    return identity.of_json([REVISION, chosen, said, about, [study.digest(slot, STUDY) for slot in read]])


def _harm(section: LabelSection, harm: Any) -> Harmful | None:
    """What is done to the labels of a section, alike in every run; None for nothing."""
    if not (harm.flipped or harm.displaced_um or harm.lost):
        return None
    rng = generator(0, identity.of_json([section.sample, "harm"]))
    angle, by = rng.uniform(0, 2 * np.pi), harm.displaced_um / section.mpp
    return Harmful(harm.flipped, harm.lost, (by * float(np.cos(angle)), by * float(np.sin(angle))), rng)


def _quality(study: Study) -> dict[str, Any]:
    """What is known of how good the labels of each section are: the mean confidence of its types."""
    key = f"{Slot.parse(slots.NUCLEUS_TYPE).key}.confidence"
    if key not in study.table.obs:
        return {}
    sure = study.table.obs[key].astype(float)
    return {name: {"mean_confidence": float(sure.iloc[study.rows(name)].mean())} for name in study.samples}


def boxes_of(section: LabelSection, tile_px: int, most: int) -> list[Box]:
    """Where the tiles of a section lie: a grid over what labels speak of, tiles with nuclei first of all.

    Of more tiles than ``most``, those that are kept are drawn alike in every run. Of tiles without a nucleus,
    a tenth as many are kept as there are tiles with some.
    """
    x0, y0, width, height = section.bounds
    xs, ys = x0 + _origins(width, tile_px), y0 + _origins(height, tile_px)
    centres = section.centres_px
    counts = np.zeros((len(ys), len(xs)), int)
    column = np.clip(np.searchsorted(xs, centres[:, 0], side="right") - 1, 0, len(xs) - 1)
    row = np.clip(np.searchsorted(ys, centres[:, 1], side="right") - 1, 0, len(ys) - 1)
    np.add.at(counts, (row, column), 1)
    rng = generator(0, identity.of_json([section.sample, "tiles"]))
    full = _some(np.flatnonzero(counts.ravel() > 0), most, rng)
    empty = _some(
        np.flatnonzero(counts.ravel() == 0),
        min(int(np.ceil(EMPTY * len(full))), max(0, most - len(full))),
        rng,
    )
    chosen = np.sort(np.concatenate([full, empty]))
    return [(int(xs[i % len(xs)]), int(ys[i // len(xs)]), tile_px, tile_px) for i in chosen.tolist()]


def _origins(length: int, tile_px: int) -> Indices:
    """Where tiles begin so that they cover a length evenly; together they may overlap a little."""
    number = max(1, int(np.ceil(length / tile_px)))
    return np.round(np.linspace(0, max(0, length - tile_px), number)).astype(np.int64)


def _some(chosen: Indices, most: int, rng: np.random.Generator) -> Indices:
    return chosen if len(chosen) <= most else rng.choice(chosen, most, replace=False)


def tile_of(pixels: Any, labels: Labels, to_class: Any) -> Tiles:
    """One tile, its nuclei numbered from 1, its types as codes of the store."""
    there, small = np.unique(labels.instances, return_inverse=True)
    numbers = np.arange(len(there)) + (0 if len(there) and there[0] == 0 else 1)
    kind = to_class[labels.types[there]]  # a type of -1 is the last one, which is -1
    shown = np.where(kind < 0, UNKNOWN, kind + 1)
    shown[numbers == 0] = 0
    shape = labels.instances.shape
    instances = numbers[small].reshape(shape).astype(np.int32)
    types = shown[small].reshape(shape).astype(np.uint8)
    return Tiles(pixels[None], instances[None], types[None], labels.ignore[None])


def summary(store: LabelStore) -> pd.DataFrame:
    """What a store holds, a row for each section: tiles, nuclei, and how many of each class."""
    counted = [name for name in store.about if name == "nuclei" or str(name).startswith("n_")]
    grouped = store.about.groupby(["organ", "donor", "sample"], sort=True)
    found = grouped[counted].sum()
    found.insert(0, "tiles", grouped.size())
    if "ignored" in store.about:
        found["share_ignored"] = grouped["ignored"].mean()
    return found.reset_index()


def export(store: LabelStore, folder: Path) -> None:
    """Put a store into the folder of a run: linked where the disk can, else copied."""
    for path in _files(Path(store.folder)):
        target = folder / path.relative_to(store.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, target)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def refused(study: Study, step: Any) -> str:
    """A sentence on the sections that are not learned from; empty when all are."""
    left = [name for name in study.samples if name not in usable(study, step)]
    return (
        f"Not learned from, as their outlines do not lie on their pictures: {listing(left)}." if left else ""
    )
