"""The one entrance: find the reader that recognises a path, and read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from triptych.core.checks import listing
from triptych.core.errors import DataError
from triptych.readers import registry
from triptych.readers.layouts import Reader, ReadOptions

if TYPE_CHECKING:
    from anndata import AnnData

WORDS: Final = ("toy", "toy-cells", "toy-crops")  # studies that are made, not found
ALL: Final = ReadOptions()


def read(data: str | Path, options: ReadOptions = ALL) -> AnnData:
    """Read a study of one or more sections into one table.

    Parameters
    ----------
    data
        A path of any layout that is recognised, or the word ``toy``, ``toy-cells`` or ``toy-crops``. A folder
        of that name is ``./toy``.
    options
        Samples, truth and reader to use.

    Raises
    ------
    DataError
        When nothing recognises the path, mpp is given for what is no slide, or with every fault found in the
        data.
    UnknownComponentError
        When the options name a reader that does not exist.
    """
    # a Path drops the «./», so only a text of exactly such a word is the word
    place = Path(data) if data in WORDS else Path(data).expanduser().absolute()
    reader = reader_of(place, options.reader)
    if options.mpp and not getattr(reader, "measured", False):
        raise DataError(
            f"{place} is not a slide alone, so its scale is that of its files, not {options.mpp:g} µm.",
            "Leave mpp away, or give it in a study manifest.",
        )
    return reader.read(place, options)


def reader_of(path: Path, name: str = "") -> Reader:
    """The reader of that name, else the only one that recognises the path.

    Raises
    ------
    DataError
        When the path does not exist, or no reader or several recognise it.
    """
    if str(path) not in WORDS and not path.exists():
        raise DataError(f"There is no file or folder {path}.", "Check the path.")
    if name:
        chosen: Reader = registry.make(name)
        return chosen
    readers: dict[str, Reader] = {word: registry.make(word) for word in registry}
    fitting = [word for word, reader in readers.items() if reader.recognises(path)]
    if len(fitting) == 1:
        return readers[fitting[0]]
    if fitting:
        raise DataError(f"{path} looks like {' and '.join(fitting)}.", "Say which with the option reader.")
    raise DataError(
        f"{path}: no known layout. {_inside(path)}",
        f"The layouts are {', '.join(registry)}; a manifest can put files of any of them together.",
    )


def _inside(path: Path) -> str:
    if not path.is_dir():
        return f"It is a file of type «{path.suffix or 'none'}»."
    names = sorted(child.name + "/" * child.is_dir() for child in path.iterdir())
    return f"In it there is {listing(names)}."
