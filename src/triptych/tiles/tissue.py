"""Where a slide holds tissue: the mean colour of each patch of a grid, from a level just fine enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.errors import DataError
from triptych.core.protocols import Matrix, Pixels
from triptych.tiles.picture import LIMIT_PX, PLUGINS
from triptych.tiles.slide import STORE, Slide, array_slide, kind_of, open_slide

BACKGROUND_ABOVE: Final = 200.0  # mean of red, green and blue over a patch
LEAST_PX: Final = 16  # of a side of a patch, on the level that is read
PIECE_PX: Final = 2**20  # pixels that are read at once, unless one chunk is larger


def tissue_mask(
    reference: str, x_edges: Matrix, y_edges: Matrix, *, background_above: float = BACKGROUND_ABOVE
) -> NDArray[np.bool_]:
    """Which patches of a grid hold tissue: those whose mean of red, green and blue is not above a limit.

    Parameters
    ----------
    reference
        As of `triptych.tiles.slide.open_slide`, whose errors are raised.
    x_edges, y_edges
        Where the patches begin and the last one ends, in full-resolution pixels, shapes (c + 1,) and
        (r + 1,).
    background_above
        The limit, from 0 to 255.

    Returns
    -------
    Shape (r, c).

    Raises
    ------
    DataError
        When no patch holds tissue.
    """
    if not 0 <= background_above <= 255:
        raise ValueError(f"background_above must be from 0 to 255, got {background_above}")
    means = patch_means(reference, x_edges, y_edges)
    tissue: NDArray[np.bool_] = means <= background_above
    if not tissue.any():
        raise DataError(
            f"The image {reference} holds no tissue: of {means.size} patches even the darkest has a mean of "
            f"red, green and blue of {means.min():.0f}, above {background_above:g}.",
            "Check that it is the stained slide, on a light ground, and that mpp is right.",
        )
    return tissue


def patch_means(reference: str, x_edges: Matrix, y_edges: Matrix) -> Matrix:
    """Mean of red, green and blue over each patch of a grid, shape (r, c).

    A pyramid is read at the coarsest level whose patches are at least `LEAST_PX` wide, a JPEG is decoded at
    such a reduction. It is read piece by piece, each chunk once. A pixel that patches share counts for each
    by the part that lies in it.

    Parameters
    ----------
    reference, x_edges, y_edges
        As of `tissue_mask`.
    """
    side = min(float(np.diff(x_edges).min()), float(np.diff(y_edges).min()))
    slide, (width, height) = _reduced(reference, max(1.0, side / LEAST_PX))
    x, y = x_edges * slide.shape_px[1] / width, y_edges * slide.shape_px[0] / height
    sums = np.zeros((len(y) - 1, len(x) - 1))
    for left, top, piece in _pieces(slide, x, y):
        tall, wide = piece.shape[:2]
        (rows, down), (columns, across) = _shares(y, top, tall), _shares(x, left, wide)
        lines = (down @ piece.reshape(tall, -1)).reshape(-1, wide, 3).sum(axis=2)
        sums[rows, columns] += (across @ lines.T).T
    means: Matrix = sums / (3 * np.outer(np.diff(y), np.diff(x)))
    return means


def _reduced(reference: str, reduction: float) -> tuple[Slide, tuple[int, int]]:
    """The slide at a reduction that is not above the one given, and its full width and height."""
    path = Path(reference)
    if reduction >= 2 and STORE not in reference and path.is_file() and _is_jpeg(path):
        return _jpeg(path, reduction)
    slide = open_slide(reference)
    return slide.level(reduction), (slide.shape_px[1], slide.shape_px[0])


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def _jpeg(path: Path, reduction: float) -> tuple[Slide, tuple[int, int]]:
    """A JPEG of which each block is decoded to fewer pixels: their means, so that little memory is needed."""
    plugin: Any = PLUGINS[kind_of(path)]
    try:
        with plugin(path) as image:
            size: tuple[int, int] = image.size
            plain = image.mode == "RGB" and size[0] * size[1] <= LIMIT_PX
            if plain:
                image.draft("RGB", (max(1, int(size[0] / reduction)), max(1, int(size[1] / reduction))))
                factor = round(size[0] / image.size[0])  # of a last block, the part beyond the picture counts
                small = array_slide(np.asarray(image))
                return small, (factor * image.size[0], factor * image.size[1])
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        raise DataError(f"The image {path} is damaged ({error}).", "Copy or export it again.") from error
    return open_slide(str(path)), size  # which says what is wrong with it


def _pieces(slide: Slide, x_edges: Matrix, y_edges: Matrix) -> Iterator[tuple[int, int, Pixels]]:
    """Left, top and pixels of pieces of whole chunks, as far as they touch the grid, each chunk once."""
    tall, wide = slide.chunk_px
    wide *= max(1, PIECE_PX // (tall * wide))
    left, top = (max(0, int(np.floor(edges[0]))) for edges in (x_edges, y_edges))
    right = min(slide.shape_px[1], int(np.ceil(x_edges[-1])))
    bottom = min(slide.shape_px[0], int(np.ceil(y_edges[-1])))
    for y in range(top // tall * tall, bottom, tall):
        y0, y1 = max(y, top), min(y + tall, bottom)
        for x in range(left // wide * wide, right, wide):
            x0, x1 = max(x, left), min(x + wide, right)
            yield x0, y0, slide.read(x0, y0, x1 - x0, y1 - y0)


def _shares(edges: Matrix, start: int, length: int) -> tuple[slice, sp.csr_matrix]:
    """Patches that a stretch of pixels meets, and how much of each pixel lies in each of them.

    No patch is narrower than a pixel, so that a pixel lies in two of them at most.

    Returns
    -------
    Numbers of the patches, and a matrix of shape (patches, length).
    """
    begin = start + np.arange(length)
    inside = np.searchsorted(edges, begin, side="right") - 1  # -1 before the first
    end = np.append(edges, np.inf)[inside + 1]
    first = np.minimum(end, begin + 1) - begin
    patch, pixel = np.concatenate([inside, inside + 1]), np.tile(np.arange(length), 2)
    share = np.concatenate([first, 1 - first]).astype(np.float32)
    kept = (share > 0) & (patch >= 0) & (patch < len(edges) - 1)
    patch, pixel, share = patch[kept], pixel[kept], share[kept]
    low, high = int(patch.min()), int(patch.max()) + 1
    return slice(low, high), sp.csr_matrix((share, (patch - low, pixel)), shape=(high - low, length))
