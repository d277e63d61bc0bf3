"""A study written down: a YAML file that names samples, where they lie, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import yaml
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.slots import UNS
from triptych.readers.delimited import readable
from triptych.readers.joining import choose, gather
from triptych.readers.layouts import ReadOptions, Sampled
from triptych.readers.manifest_files import add_files, check_files, rescale
from triptych.readers.pictures import STORE
from triptych.readers.read import reader_of

SUFFIXES: Final = (".yaml", ".yml")
RESERVED: Final = ("sample", "donor", "batch", "truth", "array_row", "array_col")
Text = Annotated[str, Field(coerce_numbers_to_str=True)]
Name = Annotated[str, Field(min_length=1)]


class Entry(BaseModel):
    """One sample.

    Paths are relative to the manifest. ``stains`` are files of grey values by channel, ``FILE::I`` for the
    page or channel I of a file, in full-resolution pixels; ``transcripts`` is a table of molecules in the
    frame of obsm:spatial_um. ``columns`` are constants of the sample that become columns of obs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1)
    donor: Text = ""
    batch: Text = ""
    mpp: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    image: str = ""
    truth: str = ""
    stains: dict[Name, Name] = Field(default_factory=dict)
    transcripts: str = ""
    columns: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Named(Entry):
    """One sample of the list form."""

    name: Text = Field(min_length=1)


@dataclass(frozen=True)
class Manifest:
    """``samples: {NAME: {path, donor, batch, mpp, image, stains, …}}``, see `Entry`, or a list with names."""

    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def recognises(self, path: Path) -> bool:
        """Whether it is a YAML file."""
        return path.is_file() and path.suffix in SUFFIXES

    def samples(self, path: Path) -> list[str]:
        """The names, in the order of the file."""
        return list(entries(path))

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read each sample by the reader of its layout, and join them.

        Raises
        ------
        DataError
            With every fault of the manifest, else with every fault of every sample.
        """
        found = entries(path)
        names = choose(found, options, str(path))
        inner = replace(options, reader="", samples=())
        # each sample's truth has become obs:truth when they are joined
        outer = replace(options, truth="")
        return gather(
            names, lambda name, _: _section(path.parent, name, found[name], inner), outer, str(path)
        )


def entries(path: Path) -> dict[str, Entry]:
    """The samples of a manifest.

    Raises
    ------
    DataError
        With every fault of the file.
    """
    with readable(path):
        text = path.read_text(encoding="utf-8")
    try:
        whole = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not YAML: {error}") from error
    faults = Faults(str(path))
    if not isinstance(whole, dict) or not isinstance(whole.get("samples"), dict | list):
        faults.add("there is no «samples» with an entry for each sample")
        faults.raise_if_any(hint="Write samples: {NAME: {path: …}}.")
    unknown = [str(key) for key in whole if key != "samples"]
    faults.check(not unknown, f"unknown keys {listing(unknown)}; there is only samples")
    found = _entries(whole["samples"], faults)
    for name, entry in found.items():
        _check_entry(path, name, entry, faults)
    faults.raise_if_any()
    return found


def _entries(samples: dict[Any, Any] | list[Any], faults: Faults) -> dict[str, Entry]:
    pairs = (
        list(samples.items())
        if isinstance(samples, dict)
        else [(f"entry {i + 1}", e) for i, e in enumerate(samples)]
    )
    model = Entry if isinstance(samples, dict) else Named
    found: dict[str, Entry] = {}
    for key, value in pairs:
        try:
            entry = model.model_validate(value)
        except ValidationError as error:
            for fault in error.errors():
                place = ".".join(str(part) for part in fault["loc"])
                faults.add(f"{key}: {place or 'the entry'}: {fault['msg']}")
            continue
        name = entry.name if isinstance(entry, Named) else str(key)
        if faults.check(name not in found, f"the sample {name} is there more than once"):
            found[name] = entry
    return found


def _check_entry(manifest: Path, name: str, entry: Entry, faults: Faults) -> None:
    place = manifest.parent / entry.path
    faults.check(place.exists(), f"{name}: path: there is no file or folder {place}")
    faults.check(place.suffix not in SUFFIXES, f"{name}: path: a manifest cannot name another one ({place})")
    if entry.image and STORE not in entry.image:
        image = manifest.parent / entry.image
        faults.check(image.is_file(), f"{name}: image: there is no file {image}")
    files = {f"{name}: stains.{stain}": file for stain, file in entry.stains.items()}
    files |= {f"{name}: transcripts": entry.transcripts} if entry.transcripts else {}
    check_files(manifest.parent, files, faults)
    taken = [column for column in entry.columns if column in RESERVED]
    faults.check(not taken, f"{name}: columns: {listing(taken)} cannot be set here")


def _section(folder: Path, name: str, entry: Entry, options: ReadOptions) -> AnnData:
    place = (folder / entry.path).absolute()
    reader = reader_of(place)
    options = replace(options, truth=entry.truth or options.truth)
    if isinstance(reader, Sampled) and name in reader.samples(place):
        options = replace(options, samples=(name,))
    table = reader.read(place, options)
    return _with_entry(_only(table, name), name, entry, folder)


def _only(table: AnnData, name: str) -> AnnData:
    """The sample of that name, or the only one there is."""
    about = table.uns[UNS]["samples"]
    if len(about) == 1:
        return table
    if name not in about.index:
        raise DataError(f"its path holds the samples {listing(about.index)}, none called {name}")
    chosen = table[(table.obs["sample"] == name).to_numpy()].copy()
    chosen.uns[UNS] = {**table.uns[UNS], "samples": about.loc[[name]]}
    return chosen


def _with_entry(table: AnnData, name: str, entry: Entry, folder: Path) -> AnnData:
    """What the manifest says goes before what the files say."""
    about = table.uns[UNS]["samples"].copy()
    old = str(about.index[0])
    about.index = about.index.__class__([name], name="sample")
    if isinstance(table.uns.get("spatial"), dict) and old in table.uns["spatial"]:
        table.uns["spatial"] = {name: table.uns["spatial"][old]}
    table.obs["sample"] = name
    donor = entry.donor or (name if str(about["donor"].iloc[0]) == old else str(about["donor"].iloc[0]))
    about["donor"] = donor
    table.obs["donor"] = donor
    table.obs["batch"] = entry.batch or name
    for column, value in entry.columns.items():
        table.obs[column] = value
    if entry.mpp is not None:
        rescale(table, about, name, entry.mpp)
    if entry.image:
        about["image"] = str((folder / entry.image).absolute()) if STORE not in entry.image else entry.image
        about["image_scale"] = 1.0
    add_files(table, about, folder, stains=entry.stains, transcripts=entry.transcripts)
    table.uns[UNS] = {**table.uns[UNS], "samples": about}
    return table
