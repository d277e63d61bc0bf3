"""Planes of molecules, one per gene, kept as the list of their pixels that are 1.

Of the planes of a batch about one pixel in a thousand is 1. The first convolution is therefore a product of
a sparse matrix with the weights, and the planes themselves are never made.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Planes(NamedTuple):
    """Pixels that are 1 in binary planes of shape (batch, genes, side, side).

    Attributes
    ----------
    gene, crop, y, x
        Of each pixel, shape (m,), sorted in this order, none twice.
    batch, genes, side
        Of the planes.
    """

    gene: Tensor
    crop: Tensor
    y: Tensor
    x: Tensor
    batch: int
    genes: int
    side: int

    def dense(self) -> Tensor:
        """The planes, shape (batch, genes, side, side)."""
        planes = torch.zeros(self.batch, self.genes, self.side, self.side, device=self.gene.device)
        planes[self.crop, self.gene, self.y, self.x] = 1
        return planes


def turn(y: Tensor, x: Tensor, quarters: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Pixels after quarter turns, as `numpy.rot90` turns the plane.

    Parameters
    ----------
    y, x, quarters
        Of each pixel, shape (m,); quarters in 0 … 3.
    side
        Of the plane.
    """
    last = side - 1
    turned_y = torch.where(quarters == 1, last - x, torch.where(quarters == 2, last - y, x))
    turned_x = torch.where(quarters == 1, y, torch.where(quarters == 2, last - x, last - y))
    still = quarters == 0
    return torch.where(still, y, turned_y), torch.where(still, x, turned_x)


def rasterise(
    spots: tuple[Tensor, Tensor, Tensor, Tensor], shape: tuple[int, int, int], spot_px: int
) -> Planes:
    """Make each molecule a square, clipped at the edge; where squares of a gene meet, their union.

    Parameters
    ----------
    spots
        Crop, gene, y and x of each molecule, each of shape (m,).
    shape
        Batch, genes and side of the planes.
    spot_px
        Side of the square, odd.
    """
    crop, gene, y, x = spots
    batch, genes, side = shape
    reach = torch.arange(spot_px, device=y.device) - spot_px // 2
    ys, xs = y[:, None, None] + reach[:, None], x[:, None, None] + reach
    inside = ((ys >= 0) & (ys < side)) & ((xs >= 0) & (xs < side))
    key = (((gene * batch + crop)[:, None, None] * side + ys) * side + xs)[inside]
    key = torch.unique(key)  # sorted
    at, key = key % side, key // side
    row, key = key % side, key // side
    return Planes(key // batch, key % batch, row, at, batch, genes, side)


def convolve(planes: Planes, weight: Tensor) -> Tensor:
    """The convolution of kernel 3 and stride 2, exactly, with the gradient to its weights.

    Where the side is even there is a row and a column of zeros at the end.

    A pixel that is 1 adds one row of weights to each of the one, two or four outputs that see it.

    Parameters
    ----------
    planes
        What is convolved.
    weight
        Shape (genes · 9, channels); gene, then row, then column of the kernel.

    Returns
    -------
        Shape (batch, channels, n, n), channels last in memory.
    """
    n = planes.side // 2
    rows, columns = [], []
    for ky, oy, good_y in _seen(planes.y, n):
        for kx, ox, good_x in _seen(planes.x, n):
            good = good_y & good_x
            rows.append(((planes.crop * n + oy) * n + ox)[good])
            columns.append((planes.gene * 9 + ky * 3 + kx)[good])
    where = torch.stack([torch.cat(rows), torch.cat(columns)])
    ones = torch.ones(where.shape[1], dtype=weight.dtype, device=weight.device)
    matrix = torch.sparse_coo_tensor(
        where, ones, (planes.batch * n * n, weight.shape[0]), check_invariants=False, is_coalesced=True
    )
    found: Tensor = torch.sparse.mm(matrix, weight)
    return found.view(planes.batch, n, n, -1).permute(0, 3, 1, 2)


def _seen(at: Tensor, n: int) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Along one axis, tap, output and whether there is one: an even pixel has two taps, an odd one."""
    half, odd = at >> 1, at & 1
    return (odd, half, half < n), (odd * 0 + 2, half - 1, (odd == 0) & (half >= 1))
