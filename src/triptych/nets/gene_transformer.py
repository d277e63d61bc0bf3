"""A transformer over the genes of an observation, read at a class token: scGPT's family of models.

The tokens are the genes that were seen, in any order, after the class token. Token i enters as

    LayerNorm(E[gene_i]) + LayerNorm(W₂ relu(w₁ v_i + b₁) + b₂),

with v_i its value, and passes layers of attention and a hidden layer, each followed by the residual sum and
its LayerNorm (Vaswani et al. 2017). Modules are named as in the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu, scaled_dot_product_attention

HIGHEST = 512.0  # values above are brought down to it


@dataclass(frozen=True)
class GeneShape:
    """Sizes of the network.

    Parameters
    ----------
    tokens
        Entries of the vocabulary.
    width
        d, numbers per token.
    heads
        Of the attention; they divide the width.
    hidden
        Width of the hidden layers.
    layers
        Number of layers.
    """

    tokens: int
    width: int
    heads: int
    hidden: int
    layers: int


class GeneEncoder(nn.Module):
    """A vector for each gene."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.enc_norm = nn.LayerNorm(width)

    def forward(self, genes: Tensor) -> Tensor:
        """(b, l) token numbers → (b, l, d)."""
        normed: Tensor = self.enc_norm(self.embedding(genes))
        return normed


class ValueEncoder(nn.Module):
    """A vector for each value, by a network with one hidden layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(1, width)
        self.linear2 = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """(b, l) → (b, l, d)."""
        x = values.clamp(max=HIGHEST).unsqueeze(-1)
        normed: Tensor = self.norm(self.linear2(relu(self.linear1(x))))
        return normed


class Attention(nn.Module):
    """Attention of the first tokens to all that are there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, there: Tensor, first: int) -> Tensor:
        """(b, l, d) and a mask (b, l) → (b, first, d)."""
        width = x.shape[2]
        weight, bias = self.in_proj_weight, self.in_proj_bias
        q = self._by_head(linear(x[:, :first], weight[:width], bias[:width]))
        k, v = (self._by_head(part) for part in linear(x, weight[width:], bias[width:]).chunk(2, dim=2))
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None, :])
        projected: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return projected

    def _by_head(self, x: Tensor) -> Tensor:
        """(b, l, d) → (b, heads, l, d / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class Layer(nn.Module):
    """Attention, then a hidden layer, each added to its input and normalised."""

    def __init__(self, shape: GeneShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape.width, shape.heads)
        self.linear1 = nn.Linear(shape.width, shape.hidden)
        self.linear2 = nn.Linear(shape.hidden, shape.width)
        self.norm1 = nn.LayerNorm(shape.width)
        self.norm2 = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, there: Tensor, first: int) -> Tensor:
        """(b, l, d) and a mask (b, l) → the first tokens, (b, first, d)."""
        x = self.norm1(x[:, :first] + self.self_attn(x, there, first))
        normed: Tensor = self.norm2(x + self.linear2(relu(self.linear1(x))))
        return normed


class Layers(nn.Module):
    """The layers, one after the other; the last is computed for the class token alone."""

    def __init__(self, shape: GeneShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(b, l, d) and a mask (b, l) → (b, d)."""
        for number, layer in enumerate(self.layers, 1):
            x = layer(x, there, 1 if number == len(self.layers) else x.shape[1])
        return x[:, 0]


class GeneTransformer(nn.Module):
    """Genes and values → the state of the class token; without dropout, as it is only applied.

    Parameters
    ----------
    shape
        Sizes of the network.
    """

    def __init__(self, shape: GeneShape) -> None:
        super().__init__()
        self.gene_encoder = GeneEncoder(shape.tokens, shape.width)
        self.value_encoder = ValueEncoder(shape.width)
        self.encoder = Layers(shape)

    def forward(self, genes: Tensor, values: Tensor, there: Tensor) -> Tensor:
        """Encode observations.

        Parameters
        ----------
        genes
            Token numbers, shape (b, l), the class token first.
        values
            Shape (b, l).
        there
            False where a shorter observation is padded, shape (b, l).

        Returns
        -------
            Shape (b, d).
        """
        state: Tensor = self.encoder(self.gene_encoder(genes) + self.value_encoder(values), there)
        return state
