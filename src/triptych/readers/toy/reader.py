"""The reader of the word ``toy``: writes the toy study once, then reads it like anyone's files."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from triptych.core.errors import CacheError
from triptych.core.settings import CACHE_VARIABLE, cache_dir
from triptych.readers.layouts import ReadOptions
from triptych.readers.spatial_transcriptomics import SpatialTranscriptomics
from triptych.readers.toy import study
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
        parameters = json.dumps([asdict(self), self.revision, study.Toy.revision], sort_keys=True)
        home = cache_dir() / WORD
        final = home / hashlib.sha256(parameters.encode()).hexdigest()[:16]
        if final.is_dir():
            return final
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._write(final)
        except OSError as error:
            raise CacheError(
                f"The toy study cannot be written to {home}: {error.strerror or error}.",
                f"Name a writable folder in {CACHE_VARIABLE}.",
            ) from error
        return final

    def _write(self, final: Path) -> None:
        """Write beside the final place and rename, so that no one meets half a study."""
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=final.parent))
        try:
            write_spatial_transcriptomics(self._study().make(), draft)
            try:
                draft.chmod(0o755)  # mkdtemp keeps others out
                draft.replace(final)
            except OSError:
                if not final.is_dir():  # another process was not faster: the fault is real
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
