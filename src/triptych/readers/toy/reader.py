"""The reader of the word ``toy``: writes the toy study once, then reads it like anyone's files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from triptych.readers.layouts import ReadOptions
from triptych.readers.spatial_transcriptomics import SpatialTranscriptomics
from triptych.readers.toy import study
from triptych.readers.toy.cache import cached
from triptych.readers.toy.write import write_spatial_transcriptomics

if TYPE_CHECKING:
    from anndata import AnnData

WORD = "toy"


@dataclass(frozen=True)
class Toy:
    """A synthetic study on a square array.

    Parameters
    ----------
    seed, donors, sections_per_donor, side, genes, batch
        As of `triptych.readers.toy.study.Toy`.
    """

    seed: int = 0
    donors: int = 2
    sections_per_donor: int = 2
    side: int = 18
    genes: int = 200
    batch: float = study.Toy.batch
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._study()

    def _study(self) -> study.Toy:
        return study.Toy(**asdict(self))

    def recognises(self, path: Path) -> bool:
        """Whether the path is the word ``toy``."""
        return str(path) == WORD

    def samples(self, path: Path) -> list[str]:
        """Names of the sections; nothing is written."""
        letters = [chr(ord("A") + donor) for donor in range(self.donors)]
        return [f"{letter}{number + 1}" for letter in letters for number in range(self.sections_per_donor)]

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """The study as a table.

        Raises
        ------
        CacheError
            When the study cannot be written into the cache.
        """
        return SpatialTranscriptomics().read(self.folder(), options)

    def folder(self) -> Path:
        """Where the study lies in the cache; written when it is not there yet.

        Raises
        ------
        CacheError
            When the cache cannot be written.
        """
        return cached(WORD, [asdict(self), self.revision, study.Toy.revision], self._write)

    def _write(self, folder: Path) -> None:
        write_spatial_transcriptomics(self._study().make(), folder)
