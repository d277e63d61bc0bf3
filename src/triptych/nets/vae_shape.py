"""Sizes of convolutions of stride 2, and of the transposed ones that mirror them.

An even side gets a row and a column of zeros at its end, and a transposed convolution is trimmed to the side
that it mirrors. Without this the last row and column of every even side are neither seen nor given back,
which through five blocks adds up to 23 of 150 px.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def sizes(side: int, blocks: int) -> tuple[int, ...]:
    """Sides before and after each block, n → ⌊n / 2⌋.

    Parameters
    ----------
    side
        Of the crop in pixels.
    blocks
        Number of convolutions.

    Returns
    -------
    Of length blocks + 1, from ``side`` down.

    Raises
    ------
    ValueError
        When the crop is too small for so many.
    """
    if side < smallest(blocks):
        raise ValueError(
            f"a crop of {side} px is too small for {blocks} blocks; {smallest(blocks)} px will do"
        )
    return tuple(side >> block for block in range(blocks + 1))


def smallest(blocks: int) -> int:
    """The smallest side of which so many blocks leave one pixel."""
    return int(2**blocks)


def whole(x: Tensor) -> Tensor:
    """Planes with a row and a column of zeros at the end where their side is even, so that all is seen."""
    more = 1 - x.shape[-1] % 2
    return functional.pad(x, (0, more, 0, more)) if more else x


def trimmed(x: Tensor, side: int) -> Tensor:
    """Planes without the row and column that a transposed convolution has too many."""
    return x[..., :side, :side]
