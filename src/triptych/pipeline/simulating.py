"""Semi-real sections: real pictures with nuclei outlined by hand, and transcripts simulated for these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core.checks import Faults
from triptych.core.errors import DataError
from triptych.core.extras import need
from triptych.core.nuclei import Outlines
from triptych.core.progress import track
from triptych.core.protocols import Codes, Indices
from triptych.core.randomness import generator
from triptych.maths.polygons import centroids_px, rasterised, traced
from triptych.maths.simulated_outlines import (
    Displacement,
    drawn_displacement,
    jittered,
    joined,
    patch_of,
    picked,
    shapes,
    spurious_of,
    types_by_shape,
)
from triptych.maths.simulated_transcripts import CONTROLS, Nuclei, SimulatedTranscripts, simulated
from triptych.pipeline.provenance import versions
from triptych.pipeline.simulating_files import Labelled, Section, chosen, load, sections_of
from triptych.pipeline.simulating_output import Simulated, filling, write_section
from triptych.pipeline.simulating_profiles import CLASSES, Profiles, read_profiles
from triptych.pipeline.simulating_settings import Settings

BY_SHAPE: Final = np.array(["inflammatory", "connective", "epithelial"])
ABOUT: Final = "simulation.json"
STAND_IN: Final = {
    "shape": "nobody knows the types of these nuclei: their transcripts follow their shape (small, round and "
    "dark: inflammatory; elongated: connective; else epithelial), and their types are not given as truth",
    "unknown": "nobody knows the types of these nuclei: their transcripts follow the mean of all classes",
}


def simulate(folders: Iterable[Path], out: Path, settings: Settings) -> pd.DataFrame:
    """Write a folder in the layout of HEST-1k whose truth is known.

    Parameters
    ----------
    folders
        Each with ``images``, ``instances`` and perhaps ``types``, files of the same stems.
    out
        A new or empty folder.
    settings
        What to simulate.

    Returns
    -------
        A row for each section: numbers of nuclei and transcripts, and the true displacement.

    Raises
    ------
    DataError
        When the folders or the reference cannot be used.
    MissingExtraError
        When pyarrow or shapely is not installed.
    OutputError
        When ``out`` is not empty, or cannot be written.
    """
    for module in ("pyarrow", "shapely"):
        need(module, "cells")
    found = sections_of(folders, settings.organs, group=settings.group)
    sections = chosen(found, settings.samples, settings.held)
    _check(sections, settings)
    rng = generator(settings.seed, _key("profiles"))
    profiles = read_profiles(settings.reference, settings.column, settings.types, settings.genes, rng)
    names = np.concatenate([profiles.genes, _controls()])
    rows: dict[str, dict[str, Any]] = {}
    with filling(out) as folder:
        for section in track(sections, "simulate", len(sections)):
            labelled = load(section)
            made = section_of(section, labelled, profiles, settings)
            write_section(folder, section, labelled, made, genes=names, mpp=settings.mpp)
            rows[section.id] = made.about
        about = _about(settings, profiles, rows)
        (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False), "utf-8")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("sample").reset_index()


def section_of(section: Section, labelled: Labelled, profiles: Profiles, settings: Settings) -> Simulated:
    """Simulate one section; what is drawn depends on the seed and its name alone.

    Parameters
    ----------
    section
        Its name.
    labelled
        Its picture, and its nuclei.
    profiles
        Of cells by class.
    settings
        Dials.
    """
    rng = generator(settings.seed, _key(section.id))
    nuclei = Nuclei.of(labelled.instances)
    types, known = _types(labelled, nuclei, settings, rng)
    own = profiles.private(rng)
    profile = np.zeros(len(types), np.int64)
    for name in (*CLASSES, ""):
        profile[types == name] = own.drawn(name, int(np.sum(types == name)), rng)
    molecules = simulated(nuclei, profile, own.values, dials=settings.dials, mpp=settings.mpp, rng=rng)
    height, width = labelled.instances.shape
    away = drawn_displacement(settings.warp, (width, height), mpp=settings.mpp, rng=rng)
    lost = rng.random(len(types)) < settings.warp.lost
    seen, spurious = (
        picked(rings, _shown(rings, away, (width, height)))
        for rings in _outlines(labelled, lost, settings, rng)
    )
    lost = ~np.isin(np.arange(len(types)), seen.row)
    outlines = joined(seen, spurious)
    outlines = Outlines(away.moved(outlines.px).astype(np.float32), outlines.first, outlines.row)
    table = _transcripts(molecules, lost, spurious, (width, height))
    table[["he_x", "he_y"]] = px = away.moved(molecules.px)
    table = table.iloc[np.flatnonzero(np.all((px >= 0) & (px < (width, height)), axis=1))]
    about = {
        "organ": section.organ, "folder": section.folder, "tiles": len(section.tiles),
        "width_px": width, "height_px": height, "nuclei": len(types), "known_types": int(known.sum()),
        "lost": int(lost.sum()), "spurious": len(spurious.row), "transcripts": len(table),
        "dx_px": away.dx_px, "dy_px": away.dy_px, "scale": away.scale,
        "types_from": "files" if section.typed else settings.stand_in,
    }  # fmt: skip
    return Simulated(types, known, lost, outlines, table, about)


def true_displacement(about: dict[str, Any]) -> Displacement:
    """The displacement of a section, from its entry in ``simulation.json``."""
    centre = (about["width_px"] / 2, about["height_px"] / 2)
    return Displacement(about["dx_px"], about["dy_px"], about["scale"], centre)


def _check(sections: list[Section], settings: Settings) -> None:
    faults = Faults("types")
    for folder in sorted({one.folder for one in sections if one.typed}):
        faults.check(bool(settings.classes), f"{folder} has types, and nothing says what their numbers mean")
    faults.raise_if_any(DataError, "Say it with --classes, e.g. 2=inflammatory,3=epithelial,4=connective.")


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _types(
    labelled: Labelled, nuclei: Nuclei, settings: Settings, rng: np.random.Generator
) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """The class of each nucleus, empty where it has none, and whether that is known."""
    if labelled.types is not None:
        names = np.array([settings.classes.get(int(code), "") for code in labelled.types], dtype="U16")
        known = names != ""
    else:
        names = np.full(len(nuclei.areas), "", dtype="U16")
        known = np.zeros(len(names), bool)
        if settings.stand_in == "shape":
            area, long, dark = shapes(labelled.instances, labelled.image.mean(axis=2))
            names[:] = BY_SHAPE[types_by_shape(area * settings.mpp**2, long, dark)]
    epithelial = np.flatnonzero(names == "epithelial")
    names[epithelial[patch_of(nuclei.centres[epithelial], settings.neoplastic, rng)]] = "neoplastic"
    return names, known


def _outlines(
    labelled: Labelled, lost: NDArray[np.bool_], settings: Settings, rng: np.random.Generator
) -> tuple[Outlines, Outlines]:
    """Of nuclei and of what is none, before they are displaced."""
    whole = traced(labelled.instances)
    drawn = jittered(whole, settings.warp.jitter_um / settings.mpp, rng)
    number = round(settings.warp.spurious * len(lost))
    return picked(drawn, np.flatnonzero(~lost[whole.row])), spurious_of(
        drawn, labelled.instances, number, rng
    )


def _shown(outlines: Outlines, away: Displacement, size_px: tuple[int, int]) -> Indices:
    """The rings whose centroid is still on the picture once they are displaced."""
    if not len(outlines.row):
        return np.zeros(0, np.int64)
    px = away.moved(centroids_px(outlines))
    return np.flatnonzero(np.all((px >= 0) & (px < size_px), axis=1))


def _transcripts(
    molecules: SimulatedTranscripts, lost: NDArray[np.bool_], spurious: Outlines, size_px: tuple[int, int]
) -> pd.DataFrame:
    """Transcripts as the other instrument assigns them: none to nuclei that it lost, some to what is none."""
    seen = np.append(~lost, False)
    cell = np.where(seen[molecules.cell], molecules.cell, -1)
    inside = seen[molecules.lies]
    if len(spurious.row):
        x, y = molecules.px.astype(np.int64).T
        ring: Codes = rasterised(spurious, 0, 0, *size_px)[y, x] - 1
        taken = (ring >= 0) & (molecules.lies < 0)
        cell = np.where(taken, len(lost) + ring, cell)
        inside |= taken
    return pd.DataFrame(
        {"gene": molecules.gene, "cell": cell, "qv": molecules.quality, "overlaps_nucleus": inside}
    )


def _controls() -> NDArray[np.str_]:
    half = CONTROLS // 2
    probes = [f"NegControlProbe_{k:05d}" for k in range(half)]
    return np.array(probes + [f"BLANK_{k:04d}" for k in range(CONTROLS - half)])


def _about(settings: Settings, profiles: Profiles, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    made = asdict(settings) | {"reference": settings.reference.name}
    notes = {
        one["types_from"]: STAND_IN[one["types_from"]]
        for one in rows.values()
        if one["types_from"] in STAND_IN
    }
    return {
        "versions": versions(), "settings": made, "types_stand_in": notes,
        "epithelial": "made of a stromal profile, without what is stromal in it, and an epithelial programme",
        "genes": profiles.genes.tolist(), "sections": rows,
    }  # fmt: skip
