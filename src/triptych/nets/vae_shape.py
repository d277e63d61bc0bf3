"""Sizes of convolutions of stride 2 without padding, and of the transposed ones that mirror them."""

from __future__ import annotations

from itertools import pairwise

KERNEL, STRIDE = 3, 2


def sizes(side: int, blocks: int) -> tuple[int, ...]:
    """Sides before and after each block, n → ⌊(n − 3) / 2⌋ + 1.

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
    found = [side]
    for _ in range(blocks):
        found.append((found[-1] - KERNEL) // STRIDE + 1)
    return tuple(found)


def smallest(blocks: int) -> int:
    """The smallest side of which so many blocks leave one pixel."""
    return int(2 ** (blocks + 1) - 1)


def paddings(sides: tuple[int, ...]) -> tuple[int, ...]:
    """For each block, what its transposed convolution adds at the end to give its input's side: 0 or 1."""
    return tuple(wide - (STRIDE * (narrow - 1) + KERNEL) for wide, narrow in pairwise(sides))
