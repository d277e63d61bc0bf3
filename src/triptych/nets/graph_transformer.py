"""A graph transformer in which a spot attends to its own neighbourhood, and to nothing else.

With x_j the features of the spots N(i) around spot i, itself among them, and φ(d_ij) their distance:

    h_j   = SiLU(LN(W x_j + b))
    e_ij  = aᵀ LeakyReLU(W_s h_i + W_t h_j + W_d φ(d_ij)),  α_i = softmax_j(e_ij)      (per head)
    s_i   = h_i + Σ_j α_ij W_t h_j                                                     (GATv2)
    s_i  ← s_i + W_o softmax_j(q_iᵀ k_j / √c + β(φ(d_ij))) v_j,  then + W₂ SiLU(W₁ LN(s_i))   (each layer)
    ŷ_i   = W_y LN(s_i) + b_y

with q from LN(s_i), k and v from LN(h_j). GATv2 is by Brody et al. (2022); eight heads of 32 before three
layers of a transformer are the architecture of Hist2Cell (Zhao et al. 2024). There the layers attend to all
spots of a batch, so that a prediction changes with its company; here they ask the neighbours of the spot,
whose own states no other spot changes. So what is predicted of a spot follows from its neighbourhood alone,
and the work grows with n k.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding, leaky_relu, silu

from triptych.nets.ensemble import dropout_mask, uniform
from triptych.nets.graph_transformer_shape import Shape

Module = TypeVar("Module", bound=nn.Module)
WAVES: Final = 8  # Gaussians of distance
SLOPE: Final = 0.2  # of the leaky rectifier, as in GATv2
WIDER: Final = 2  # width of the hidden layers, in widths of the state


class Near(NamedTuple):
    """Neighbourhoods of some spots.

    Attributes
    ----------
    rows
        Of the features, those that lie in each, the spot itself first, shape (b, k).
    um
        Their distances, shape (b, k).
    there
        False where a smaller neighbourhood is padded, shape (b, k).
    """

    rows: Tensor
    um: Tensor
    there: Tensor


class Dropout(NamedTuple):
    """With which probability a number is dropped, and who draws."""

    share: float
    generator: torch.Generator

    def __call__(self, x: Tensor) -> Tensor:
        """Drop and make up for it."""
        return x * dropout_mask(tuple(x.shape), self.share, self.generator) if self.share else x


class Linear(nn.Module):
    """Wx + b, whose initial weights come from a generator that is passed in."""

    def __init__(self, wide: int, narrow: int, generator: torch.Generator, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = uniform((narrow, wide), wide, generator)
        self.bias = nn.Parameter(torch.zeros(narrow, device=generator.device)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, wide) → (…, narrow)."""
        return nn.functional.linear(x, self.weight, self.bias)


def waves(um: Tensor, reach_um: float) -> Tensor:
    """Distances as `WAVES` Gaussians, evenly spaced from 0 to the reach: shape (…, `WAVES`)."""
    centres = torch.linspace(0, 1, WAVES, device=um.device)
    return torch.exp(-(((um / reach_um).unsqueeze(-1) - centres) * (WAVES - 1)).square())


def by_head(x: Tensor, heads: int) -> Tensor:
    """(…, heads · c) → (…, heads, c)."""
    return x.reshape(*x.shape[:-1], heads, -1)


def _mixed(logits: Tensor, values: Tensor, there: Tensor) -> Tensor:
    """Σ_j softmax_j(logits) · values: (b, k, h), (b, k, h, c) and (b, k) → (b, h · c)."""
    share = logits.masked_fill(~there.unsqueeze(-1), -math.inf).softmax(1)
    return torch.einsum("bkh,bkhc->bhc", share, values).flatten(1)


class GraphAttention(nn.Module):
    """GATv2 at the spots in the middle of neighbourhoods, with distances as features of the edges."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.heads, state = shape.heads, shape.state
        self.own = Linear(state, state, generator, bias=False)
        self.other = Linear(state, state, generator)
        self.distance = Linear(WAVES, state, generator, bias=False)
        self.score = uniform((shape.heads, shape.width), shape.width, generator)

    def forward(self, h: Tensor, near: Near, far: Tensor) -> Tensor:
        """(m, state), b neighbourhoods and their waves (b, k, `WAVES`) → (b, state)."""
        other = embedding(near.rows, self.other(h))
        own = self.own(h[near.rows[:, 0]]).unsqueeze(1)
        sums = by_head(leaky_relu(own + other + self.distance(far), SLOPE), self.heads)
        logits = torch.einsum("bkhc,hc->bkh", sums, self.score)
        return _mixed(logits, by_head(other, self.heads), near.there)


class Layer(nn.Module):
    """Spots ask their neighbours; then a hidden layer. Each is added to the state."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.heads, state = shape.heads, shape.state
        self.norms = nn.ModuleList(nn.LayerNorm(state, device=generator.device) for _ in range(3))
        self.query, self.out = Linear(state, state, generator), Linear(state, state, generator)
        self.both = Linear(state, 2 * state, generator)
        self.distance = Linear(WAVES, shape.heads, generator, bias=False)
        self.hidden = Linear(state, WIDER * state, generator)
        self.back = Linear(WIDER * state, state, generator)

    def forward(self, s: Tensor, h: Tensor, near: Near, far: Tensor, drop: Dropout | None) -> Tensor:
        """States (b, state) of the spots, embedded features (m, state) of all → states."""
        asked, held, last = self.norms
        both = by_head(embedding(near.rows, self.both(held(h))), 2 * self.heads)
        key, value = both.tensor_split(2, dim=2)
        query = by_head(self.query(asked(s)), self.heads)
        logits = torch.einsum("bhc,bkhc->bkh", query, key) / math.sqrt(query.shape[-1])
        s = s + _dropped(self.out(_mixed(logits + self.distance(far), value, near.there)), drop)
        updated: Tensor = s + _dropped(self.back(silu(self.hidden(last(s)))), drop)
        return updated


def _dropped(x: Tensor, drop: Dropout | None) -> Tensor:
    return drop(x) if drop else x


class GraphTransformer(nn.Module):
    """Features of spots and neighbourhoods → numbers for the spots in their middle.

    Parameters
    ----------
    shape
        Sizes.
    generator
        Draws the initial weights, on its device; those of the last layer are 0, so that training begins at
        the mean.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.shape, device = shape, generator.device
        self.enter = Linear(shape.columns, shape.state, generator)
        self.norms = nn.ModuleList(nn.LayerNorm(shape.state, device=device) for _ in range(2))
        self.graph = GraphAttention(shape, generator)
        self.layers = nn.ModuleList(Layer(shape, generator) for _ in range(shape.layers))
        self.leave = Linear(shape.state, shape.types, generator)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, near: Near, drop: Dropout | None = None) -> Tensor:
        """Predict.

        Parameters
        ----------
        x
            Features of all spots that lie in the neighbourhoods, shape (m, columns).
        near
            Neighbourhoods, by rows of ``x``, of b spots.
        drop
            While training.

        Returns
        -------
            Shape (b, types).
        """
        first, last = self.norms
        far = waves(near.um, self.shape.reach_um)
        h = _dropped(silu(first(self.enter(x))), drop)
        s = h[near.rows[:, 0]] + self.graph(h, near, far)
        for layer in self.layers:
            s = layer(s, h, near, far, drop)
        predicted: Tensor = self.leave(last(s))
        return predicted


def to_arrays(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Weights, and running moments where there are some, by name; counters of batches are left out."""
    return {
        name: np.array(value.detach().cpu().numpy())
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }


def filled(network: Module, arrays: dict[str, NDArray[np.float32]]) -> Module:
    """The network with these weights, for predicting only.

    Parameters
    ----------
    network
        Of the same shape, changed in place.
    arrays
        As `to_arrays` gives.

    Raises
    ------
    ValueError
        When they are not those of such a network.
    """
    state = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    counters = {name: value for name, value in network.state_dict().items() if not value.is_floating_point()}
    try:
        network.load_state_dict(counters | state)
    except RuntimeError as error:  # torch's word for weights of another network
        raise ValueError(f"its weights do not fit each other: {error}") from error
    return network.eval().requires_grad_(requires_grad=False)
