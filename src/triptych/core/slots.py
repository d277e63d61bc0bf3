"""Where arrays live in the table: the names of slots, and their grammar.

A slot is ``container:key``; a view's key reads left to right as its history,
``X_<view>(.<maker>)*``, e.g. ``obsm:X_img.uni2-h.harmony``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from triptych.core.errors import RecipeError

CONTAINERS: Final = ("layers", "obs", "obsm", "obsp", "nuclei")
KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")

COUNTS: Final = "layers:counts"  # raw integer counts, CSR
SAMPLE: Final = "obs:sample"  # one section
DONOR: Final = "obs:donor"  # unit of splitting
BATCH: Final = "obs:batch"  # nuisance that aligners remove
TRUTH: Final = "obs:truth"  # known labels; missing = unlabelled
ABUNDANCE: Final = (
    "obsm:abundance"  # cell types of each observation, an estimate that came with the data or was made
)
SPATIAL: Final = "obsm:spatial"  # full-resolution pixels, x then y
SPATIAL_UM: Final = "obsm:spatial_um"  # micrometres, x then y
IMAGE: Final = "image"  # the section's pixels, beside the table
REGISTERED: Final = "obsm:spatial_registered"  # the same pixels, where the picture shows the nuclei
NUCLEUS_TYPE: Final = "obs:nucleus_type"  # type of each nucleus by its transcripts; missing = not sure enough
OUTLINES: Final = "outlines"  # outlines of its nuclei, or a picture of labels, beside the table
STAINS: Final = "stains"  # its fluorescence channels, beside the table
MOLECULES: Final = "molecules"  # its single transcripts, beside the table
OF_DATA: Final = (COUNTS, SAMPLE, DONOR, BATCH, TRUTH, SPATIAL, SPATIAL_UM)
UNS: Final = "triptych"  # key in uns of everything the package keeps


@dataclass(frozen=True)
class Slot:
    """A parsed slot name.

    Parameters
    ----------
    container
        One of `CONTAINERS`.
    key
        The name inside the container.
    """

    container: str
    key: str

    def __str__(self) -> str:
        return f"{self.container}:{self.key}"

    @classmethod
    def parse(cls, text: str) -> Slot:
        """Read ``container:key``.

        Raises
        ------
        RecipeError
            When the text does not follow the grammar.
        """
        container, colon, key = text.partition(":")
        if not colon or container not in CONTAINERS or not KEY.fullmatch(key):
            raise RecipeError(
                f"«{text}» is not a slot.",
                f"A slot is container:key, with a container of {', '.join(CONTAINERS)} "
                "and a key of letters, digits, '_', '-' and '.', e.g. obsm:X_rna.pca.",
            )
        return cls(container, key)
