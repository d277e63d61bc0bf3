"""What to simulate: from the words of a command line, with all faults told together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

import yaml

from triptych.core.checks import Faults, listing, nearest
from triptych.maths.simulated_dials import Dials, Warp
from triptych.pipeline.simulating_profiles import CLASSES, FROM_REFERENCE, LYMPH

StandIn = Literal["shape", "unknown"]
LEAST_GENES: Final = 20
Part = TypeVar("Part", Dials, Warp)


@dataclass(frozen=True)
class Settings:
    """What to simulate.

    Parameters
    ----------
    reference
        Raw counts of single cells, ``.h5ad``.
    column
        Of its obs, with the types.
    types
        Class → types of the reference.
    classes
        Number in pictures of types → class; nuclei of other numbers are of no known type.
    stand_in
        What gives nuclei types where the files have none: their shape, or nothing.
    organs
        Name of a folder → its organ.
    group
        Whether stems like NAME_012 are tiles of NAME.
    neoplastic
        Share of the epithelial nuclei of each section, in one patch.
    genes
        Of the panel.
    mpp
        Micrometres per pixel.
    seed
        The same seed gives the same files.
    samples, held
        Pictures that are wanted and that are left out, by name or organ.
    dials, warp
        What is wrong with transcripts, and with outlines.
    """

    reference: Path
    column: str = "ct"
    types: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(LYMPH))
    classes: Mapping[int, str] = field(default_factory=dict)
    stand_in: StandIn = "shape"
    organs: Mapping[str, str] = field(default_factory=dict)
    group: bool = False
    neoplastic: float = 0.0
    genes: int = 300
    mpp: float = 0.25
    seed: int = 0
    samples: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    dials: Dials = field(default_factory=Dials)
    warp: Warp = field(default_factory=Warp)


def settings_of(words: Mapping[str, Any]) -> Settings:
    """Settings from options, texts among them.

    Parameters
    ----------
    words
        Fields of `Settings`, `Dials` and `Warp` by name. ``classes`` is text (``2=inflammatory,…``),
        ``organs`` texts (``FOLDER=ORGAN``), ``types`` the text of a YAML mapping, or empty.

    Raises
    ------
    DataError
        With everything that is wrong.
    """
    faults = Faults("triptych simulate")
    own = {key: words[key] for key in words if key in {one.name for one in fields(Settings)}}
    own["reference"] = Path(own["reference"])
    faults.check(own["reference"].is_file(), f"the reference {own['reference']} does not exist")
    own["classes"] = _classes(own.get("classes", ""), faults)
    own["organs"] = _pairs(own.get("organs", ()), "--organ", faults)
    own["types"] = _types(own.get("types", ""), faults)
    kinds = get_args(StandIn)
    stand_in = own.get("stand_in", kinds[0])
    faults.check(stand_in in kinds, f"--without-types is {' or '.join(kinds)}, not {stand_in}")
    faults.check(0 <= own.get("neoplastic", 0) <= 1, "neoplastic is a share from 0 to 1")
    faults.check(own.get("genes", LEAST_GENES) >= LEAST_GENES, f"a panel has {LEAST_GENES} genes or more")
    faults.check(0 < own.get("mpp", 1) < 100, "mpp is a size in µm, above 0")
    own |= {"dials": _part(Dials, words, faults), "warp": _part(Warp, words, faults)}
    faults.raise_if_any()
    return Settings(**own)


def _part(cls: type[Part], words: Mapping[str, Any], faults: Faults) -> Part | None:
    try:
        return cls(**{one.name: words[one.name] for one in fields(cls) if one.name in words})
    except ValueError as error:
        for fault in str(error).split("; "):
            faults.add(fault)
        return None


def _pairs(texts: Iterable[str], option: str, faults: Faults) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if faults.check(bool(key and equals and value), f"{option} is written NAME=VALUE, not «{text}»"):
            found[key] = value
    return found


def _classes(text: str, faults: Faults) -> dict[int, str]:
    pairs = _pairs((part for part in text.split(",") if part.strip()), "--classes", faults)
    for key, name in pairs.items():
        faults.check(key.isdecimal() and int(key) > 0, f"--classes: {key} is no number of a type, from 1 on")
        faults.check(name in CLASSES, f"--classes: there is no class {name}; {nearest(name, CLASSES)}")
    return {int(key): name for key, name in pairs.items() if key.isdecimal()}


def _types(text: str, faults: Faults) -> dict[str, tuple[str, ...]]:
    if not text.strip():
        return dict(LYMPH)
    braced = "\n" in text.strip() or text.strip()[0] == "{"  # on one line the braces may be left out
    try:
        read = yaml.safe_load(text if braced else f"{{{text}}}")
    except yaml.YAMLError as error:
        faults.add(f"--reference-types is no YAML ({' '.join(str(error).split())})")
        return {}
    good = isinstance(read, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in read.values()
    )
    if not faults.check(good, "--reference-types is written «inflammatory: [B, NK], connective: [Endo]»"):
        return {}
    for name in read:
        faults.check(
            name in FROM_REFERENCE,
            f"--reference-types: {name} is no class of a reference; there is: {listing(FROM_REFERENCE)}",
        )
    for name in FROM_REFERENCE:
        faults.check(bool(read.get(name)), f"--reference-types names no types for {name}")
    return {str(name): tuple(names) for name, names in read.items()}
