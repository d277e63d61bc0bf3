"""What a reader is, and what a user may ask of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from triptych.core.checks import Faults

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
    mpp
        Micrometres per pixel of a slide that is read by itself; 0 for what its file says.
    pitch_um
        Distance of the patches of such a slide; 0 for the reader's own.

    Raises
    ------
    DataError
        When a length is negative or no number.
    """

    samples: tuple[str, ...] = ()
    truth: str = ""
    unlabelled: tuple[str, ...] = UNLABELLED
    reader: str = ""
    mpp: float = 0.0
    pitch_um: float = 0.0

    def __post_init__(self) -> None:
        faults = Faults("options of reading")
        for name in ("mpp", "pitch_um"):
            value = getattr(self, name)
            good = math.isfinite(value) and value >= 0
            faults.check(good, f"{name} is {value:g}, not a positive number")
        faults.raise_if_any(hint="Leave it away for the default.")


@runtime_checkable
class Reader(Protocol):
    """A path of one layout → one table of all its samples, as `triptych.readers.door` wants it.

    One that heeds ``mpp`` of the options declares ``measured: ClassVar[bool] = True``.
    """

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
