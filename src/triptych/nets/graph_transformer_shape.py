"""Sizes of a graph transformer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes of the network.

    Parameters
    ----------
    columns
        Features of a spot.
    types
        Numbers predicted of each.
    heads, width
        Heads of the attention, and numbers in each; the state has heads · width.
    layers
        Of the transformer.
    reach_um
        Distance to the furthest neighbour.
    """

    columns: int
    types: int
    heads: int
    width: int
    layers: int
    reach_um: float

    def __post_init__(self) -> None:
        for name in ("columns", "types", "heads", "width", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.reach_um > 0:
            raise ValueError(f"radius_um must be above 0, not {self.reach_um}")

    @property
    def state(self) -> int:
        """Numbers of a state."""
        return self.heads * self.width
