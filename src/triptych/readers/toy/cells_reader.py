"""The reader of the word ``toy-cells``: writes bundles of Xenium once, then reads them like anyone's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from triptych.readers.layouts import ReadOptions
from triptych.readers.toy import cells as study
from triptych.readers.toy.cache import cached
from triptych.readers.toy.write_xenium import write_xenium
from triptych.readers.xenium import Xenium

if TYPE_CHECKING:
    from anndata import AnnData

WORD = "toy-cells"


@dataclass(frozen=True)
class ToyCells:
    """A synthetic study of single cells.

    Parameters
    ----------
    seed, sections, cells, genes, batch
        As of `triptych.readers.toy.cells.ToyCells`.
    """

    seed: int = 0
    sections: int = 2
    cells: int = 600
    genes: int = 60
    batch: float = study.ToyCells.batch
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._study()

    def _study(self) -> study.ToyCells:
        return study.ToyCells(**asdict(self))

    def recognises(self, path: Path) -> bool:
        """Whether the path is the word ``toy-cells``."""
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
        MissingExtraError
            When there is no pyarrow.
        """
        return Xenium().read(self.folder(), options)

    def folder(self) -> Path:
        """Where the study lies in the cache, a folder for each bundle; written when it is not there yet.

        Raises
        ------
        CacheError
            When the cache cannot be written.
        """
        return cached(WORD, [asdict(self), self.revision, study.ToyCells.revision], self._write)

    def _write(self, folder: Path) -> None:
        for bundle in self._study().make():
            write_xenium(folder / bundle.name, bundle)
