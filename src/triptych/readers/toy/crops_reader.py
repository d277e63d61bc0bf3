"""The reader of the word ``toy-crops``: writes regions of a MERSCOPE once, then reads them like anyone's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from triptych.readers.layouts import ReadOptions
from triptych.readers.merscope import Merscope
from triptych.readers.toy import crops as study
from triptych.readers.toy.cache import cached
from triptych.readers.toy.write_merscope import write_merscope

if TYPE_CHECKING:
    from anndata import AnnData

WORD = "toy-crops"


@dataclass(frozen=True)
class ToyCrops:
    """A synthetic study of cells whose types only places of molecules or textures of stains tell.

    Parameters
    ----------
    seed, sections, cells, genes
        As of `triptych.readers.toy.crops.ToyCrops`.
    """

    seed: int = 0
    sections: int = 1
    cells: int = 600
    genes: int = 24
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._study()

    def _study(self) -> study.ToyCrops:
        return study.ToyCrops(**asdict(self))

    def recognises(self, path: Path) -> bool:
        """Whether the path is the word ``toy-crops``."""
        return str(path) == WORD

    def samples(self, path: Path) -> list[str]:
        """Names of the sections; nothing is written."""
        return self._study().names()

    def read(self, path: Path, options: ReadOptions) -> AnnData:
        """The study as a table.

        Raises
        ------
        CacheError
            When the study cannot be written into the cache.
        """
        return Merscope().read(self.folder(), options)

    def folder(self) -> Path:
        """Where the study lies in the cache, a folder for each region; written when it is not there yet.

        Raises
        ------
        CacheError
            When the cache cannot be written.
        """
        return cached(WORD, [asdict(self), self.revision, study.ToyCrops.revision], self._write)

    def _write(self, folder: Path) -> None:
        for region in self._study().make():
            write_merscope(folder / region.name, region)
