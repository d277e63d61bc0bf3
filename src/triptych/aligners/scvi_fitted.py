"""A fitted scVI: its encoder, without the library that trained it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from triptych.aligners.mapping import check_columns, each_batch, need_shapes
from triptych.aligners.scvi_counts import HINT, of_genes, taken
from triptych.core.models import Saved
from triptych.core.protocols import Array, Codes, Indices, Matrix
from triptych.maths.counts import logged
from triptych.maths.threads import one_thread


@dataclass(frozen=True, eq=False)
class FittedScvi(Saved):
    """What `Scvi` learned: the network from counts to the mean of the latent code.

    Parameters
    ----------
    columns
        Genes of the counts that were fitted.
    genes
        Columns of those in use, ascending, shape (g,).
    weights
        Of each layer in turn: ``<i>.weight``, shape (in, out), and ``<i>.bias``, shape (out,); the last
        layer gives the mean.

    Notes
    -----
    h ← max(0, h W + b) for every layer but the last, from h = log(1 + counts). The normalisation of each
    layer by the running mean and variance of the training is part of its W and b. The encoder is never
    told the batch, so there is nothing to learn of a new one.
    """

    columns: int
    genes: Indices
    weights: dict[str, Matrix]

    def __post_init__(self) -> None:
        width = len(self.genes)
        if not width or not self.weights:
            raise ValueError("no genes or no layers")
        if not 0 <= self.genes.min() <= self.genes.max() < self.columns:
            raise ValueError("genes that the counts do not have")
        for weight, bias in self._layers():
            need_shapes((weight, (width, len(bias))), (bias, (len(bias),)))
            width = len(bias)

    @classmethod
    def of(cls, columns: int, genes: Indices, encoder: Any) -> Self:
        """Keep the encoder of the library.

        Parameters
        ----------
        columns, genes
            As above.
        encoder
            A ``scvi.nn.Encoder`` that has been trained.
        """
        layers = [_folded(block[0], block[1]) for block in encoder.encoder.fc_layers]
        layers.append((_array(encoder.mean_encoder.weight).T, _array(encoder.mean_encoder.bias)))
        weights: dict[str, Matrix] = {}
        for i, (weight, bias) in enumerate(layers):
            # in the order in which they come back from a file, so that products keep their bits
            weights |= {f"{i}.weight": np.ascontiguousarray(weight), f"{i}.bias": bias}
        return cls(columns, genes, weights)

    def apply(self, x: Array, batch: Codes) -> Matrix:
        """Encode new rows.

        Parameters
        ----------
        x
            Raw counts, shape (n, columns), CSR or dense; the genes those of the fit, in their order.
        batch
            Code of the new batch of each row, shape (n,).

        Returns
        -------
        Shape (n, latent), float32.

        Raises
        ------
        DataError
            When the columns are others, values are no counts, rows have no counts, codes are missing, or
            lengths differ; all faults together.
        """
        counts, faults = taken(x, batch)
        check_columns(faults, counts, self.columns)
        faults.raise_if_any(hint=HINT)
        with one_thread():
            return each_batch(of_genes(counts, self.genes)[0], batch, self.encoded)

    def encoded(self, counts: sp.csr_matrix) -> Matrix:
        """Codes of counts of the genes in use, shape (n, latent)."""
        *hidden, (weight, bias) = self._layers()
        h = logged(counts)
        for inner, offset in hidden:
            h = np.maximum(h @ inner + offset, 0)
        return np.asarray(h @ weight + bias, np.float32)

    def _layers(self) -> list[tuple[Matrix, Matrix]]:
        """Weight and bias of each."""
        count = len(self.weights) // 2
        return [(self.weights[f"{i}.weight"], self.weights[f"{i}.bias"]) for i in range(count)]


def _folded(linear: Any, norm: Any) -> tuple[Matrix, Matrix]:
    """A linear layer and the normalisation that follows it, as one linear layer."""
    factor = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    bias = (_array(linear.bias) - _array(norm.running_mean)) * factor + _array(norm.bias)
    return _array(linear.weight).T * factor, bias


def _array(tensor: Any) -> Matrix:
    return np.array(tensor.detach().cpu().numpy(), np.float64)
