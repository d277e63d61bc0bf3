"""Markers: which genes tell the classes of nuclei apart, read from a YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from triptych.core.checks import Faults, listing, nearest
from triptych.core.errors import DataError, WeightsError

PANNUKE: Final = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
NEOPLASTIC: Final = "neoplastic"
SUFFIXES: Final = (".yaml", ".yml")
LARGEST: Final = 10 * 2**20  # bytes of a marker file; the one shipped has a thousandth of it
HOW: Final = "human is shipped; else give the path of a YAML file of the same form."

Text = Annotated[str, Field(min_length=1)]
Genes = tuple[Text, ...]


class Closed(BaseModel):
    """A part of the file, which has no other keys than these."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Programme(Closed):
    """Genes that cells of one kind express together, those that speak against it, and who says so."""

    positive: Genes = Field(min_length=1)
    negative: Genes = ()
    source: tuple[Text, ...] = Field(min_length=1)

    @field_validator("source", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("positive", "negative")
    @classmethod
    def _each_once(cls, value: Genes) -> Genes:
        doubles = sorted({gene for gene in value if value.count(gene) > 1})
        if doubles:
            raise ValueError(f"genes are there more than once: {listing(doubles)}")
        return value


class MarkerClass(Closed):
    """A class of nuclei. One that is told ``if_asked`` needs its name among ``classes``."""

    programmes: dict[Text, Programme] = Field(min_length=1)
    colour: str = Field(default="", pattern=r"^(#[0-9a-fA-F]{6})?$")
    if_asked: bool = False


class Neoplastic(Closed):
    """Programmes that make cells of the class ``of`` suspect; ``normal``: those of its own that do not."""

    of: Text
    programmes: dict[Text, Programme] = Field(min_length=1)
    normal: tuple[Text, ...] = ()
    colour: str = Field(default="", pattern=r"^(#[0-9a-fA-F]{6})?$")


class Markers(Closed):
    """A marker file: ``classes`` by name, what makes cells ``neoplastic``, and ``sources`` by their id."""

    organism: Text
    sources: dict[Text, Text] = Field(min_length=1)
    classes: dict[Text, MarkerClass] = Field(min_length=1)
    neoplastic: Neoplastic | None = None

    def chosen(self, asked: Sequence[str]) -> dict[str, MarkerClass]:
        """The classes asked for, in that order; without any, all but those told if asked."""
        if not asked:
            return {name: one for name, one in self.classes.items() if not one.if_asked}
        return {name: self.classes[name] for name in asked}


def read_markers(markers: str, classes: Sequence[str] = ()) -> Markers:
    """Read a marker file, or one that is shipped.

    Parameters
    ----------
    markers
        ``human``, or the path of a file.
    classes
        Those that are asked for; the file must have them, and may have no others but PanNuke's.

    Raises
    ------
    WeightsError
        When there is no such file, or it cannot be read.
    DataError
        When it is no marker file; all faults together.
    """
    name = f"markers {Path(markers).name}"
    try:
        content = yaml.safe_load(_bytes(markers).decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{name}: not YAML: {' '.join(str(error).split())}", HOW) from error
    faults = Faults(name)
    if not isinstance(content, dict):
        raise DataError(f"{name}: it holds no mapping with organism, sources and classes.", HOW)
    try:
        read = Markers.model_validate(content)
    except ValidationError as error:
        for fault in error.errors():
            place = ".".join(str(part) for part in fault["loc"])
            faults.add(f"{place or 'the file'}: {str(fault['msg']).removeprefix('Value error, ')}")
        written = content.get("classes")
        _check_names(list(written) if isinstance(written, dict) else [], classes, faults)
        faults.raise_if_any(hint="Correct the file.")
        raise
    _check_names(list(read.classes), classes, faults)
    _check_references(read, faults)
    faults.raise_if_any(hint="Correct the file.")
    return read


def fingerprint(markers: str) -> str:
    """The sha256 of a marker file, in hexadecimal.

    Raises
    ------
    WeightsError
        When there is no such file, or it cannot be read.
    """
    return sha256(_bytes(markers)).hexdigest()


def shipped() -> list[str]:
    """Names of the marker files that come with the package."""
    folder = resources.files("triptych.annotators")
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def _bytes(markers: str) -> bytes:
    """The content of the file."""
    if markers in shipped():
        return resources.files("triptych.annotators").joinpath(f"{markers}.yaml").read_bytes()
    file = Path(markers).expanduser()
    try:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise WeightsError(f"There is no marker file {markers}.", f"{nearest(markers, shipped())} {HOW}")
        if file.stat().st_size > LARGEST:
            raise WeightsError(f"The marker file {markers} has more than {LARGEST // 2**20} MiB.", HOW)
        return file.read_bytes()
    except PermissionError as error:
        raise WeightsError(f"The marker file {markers} cannot be read: {error}.", HOW) from error


def _check_names(written: Sequence[Any], asked: Sequence[str], faults: Faults) -> None:
    """Note classes that nobody knows, and those that are asked for and not there."""
    known = dict.fromkeys([*asked, *PANNUKE])
    for name in written:
        if name == NEOPLASTIC:
            faults.add("classes: neoplastic is no lineage: write it beside classes, as neoplastic: {of: …}")
        elif name not in known:
            faults.add(f"classes: there is no class {name}. {nearest(str(name), known)}")
    for name in (name for name in asked if name not in written):
        faults.add(f"the class {name} is asked for and has no markers. {nearest(name, map(str, written))}")


def _check_references(read: Markers, faults: Faults) -> None:
    """Note sources that are not written, and a lineage of neoplastic cells that is no class."""
    for where, programme in _programmes(read):
        for source in (source for source in programme.source if source not in read.sources):
            faults.add(f"{where}: there is no source {source}. {nearest(source, read.sources)}")
        both = sorted(set(programme.positive) & set(programme.negative))
        faults.check(not both, f"{where}: genes are both positive and negative: {listing(both)}")
    if read.neoplastic is None:
        return
    of = read.neoplastic.of
    if not faults.check(
        of in read.classes, f"neoplastic.of: there is no class {of}. {nearest(of, read.classes)}"
    ):
        return
    there = read.classes[of].programmes
    for name in (name for name in read.neoplastic.normal if name not in there):
        faults.add(f"neoplastic.normal: {of} has no programme {name}. {nearest(name, there)}")


def _programmes(read: Markers) -> Iterator[tuple[str, Programme]]:
    """Each programme with its place in the file."""
    for name, one in read.classes.items():
        for title, programme in one.programmes.items():
            yield f"classes.{name}.{title}", programme
    for title, programme in (read.neoplastic.programmes if read.neoplastic else {}).items():
        yield f"neoplastic.{title}", programme
