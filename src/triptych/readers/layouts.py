"""What a reader is, and what a user may ask of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from anndata import AnnData

SCHEMA: Final = 1  # of uns:triptych; rises when its form changes
UNLABELLED: Final = ("NA", "undetermined", "Removed", "")


@dataclass(frozen=True)
class ReadOptions:
    """What to take from the data.

    Parameters
    ----------
    samples
        Sections to read, in this order; empty for all of them.
    truth
        Column of obs that holds the known labels; empty for the first usual name that exists.
    unlabelled
        Values of that column that mean «not known»; compared without surrounding spaces.
    reader
        Name of the reader to use; empty for the one that recognises the path.
    """

    samples: tuple[str, ...] = ()
    truth: str = ""
    unlabelled: tuple[str, ...] = UNLABELLED
    reader: str = ""


@runtime_checkable
class Reader(Protocol):
    """A path of one layout → one table of all its samples, as `triptych.readers.door` wants it."""

    def recognises(self, path: Path) -> bool:
        """Whether the path looks like this layout; cheap, and True although files are missing."""
        ...

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """Read the samples asked for."""
        ...


@runtime_checkable
class Sampled(Protocol):
    """A reader that can name the samples of a path without reading their counts."""

    def samples(self, path: Path) -> list[str]:
        """Names of the samples, sorted."""
        ...
