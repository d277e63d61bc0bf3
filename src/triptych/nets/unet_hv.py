"""A U-Net (Ronneberger et al. 2015) that tells nuclei, their horizontal and vertical maps, and their types.

It sees a picture whose squares of 2 × 2 pixels are one pixel of four times the channels, and its last layer
is folded back in the same way (Shi et al. 2016): the costly layers, those of full resolution, are not there.
What comes from below is narrowed before it is enlarged and laid beside what it meets.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, pixel_shuffle, pixel_unshuffle, relu

FOLD: Final = 2  # pixels of the picture by pixel of the first floor
MAPS: Final = 3  # nucleus, horizontal, vertical


class Block(nn.Module):
    """Two convolutions around which the input passes (He et al. 2016)."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(wide, narrow, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(narrow)
        self.second = nn.Conv2d(narrow, narrow, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(narrow)
        self.shortcut = nn.Conv2d(wide, narrow, 1) if wide != narrow else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, wide, h, w) → (b, narrow, h, w)."""
        inner = relu(self.first_norm(self.first(x)), inplace=True)
        return relu(self.shortcut(x) + self.second_norm(self.second(inner)), inplace=True)


class UnetHv(nn.Module):
    """Pictures → maps, shape (b, 3 + 1 + c, h, w), as `triptych.nets.hv_training` orders them.

    Parameters
    ----------
    classes
        c.
    width
        Channels of the first floor; each floor below has twice as many.
    depth
        Floors.
    """

    def __init__(self, classes: int, *, width: int, depth: int) -> None:
        super().__init__()
        widths = [width << floor for floor in range(depth)]
        self.stem = nn.Conv2d(3 * FOLD**2, width, 3, padding=1)
        self.down = nn.ModuleList(
            Block(above, here) for above, here in zip([width, *widths], widths, strict=False)
        )
        self.narrow = nn.ModuleList(nn.Conv2d(2 * here, here, 1) for here in widths[:-1])
        self.up = nn.ModuleList(Block(2 * here, here) for here in widths[:-1])
        self.head = nn.Conv2d(width, FOLD**2 * (MAPS + 1 + classes), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (b, 3, h, w) in 0 … 1, whose sides are a multiple of `multiple_px`, → maps."""
        x = self.stem(pixel_unshuffle(x - 0.5, FOLD))
        passed: list[Tensor] = []
        for floor, block in enumerate(self.down):
            x = block(max_pool2d(x, 2) if floor else x)
            passed.append(x)
        for floor in reversed(range(len(self.up))):
            below = interpolate(self.narrow[floor](x), scale_factor=2.0, mode="nearest")
            x = self.up[floor](torch.cat([passed[floor], below], 1))
        return pixel_shuffle(self.head(x), FOLD)


def multiple_px(depth: int) -> int:
    """Of what the sides of a picture must be a multiple."""
    return FOLD << (depth - 1)


def halo_px(depth: int) -> int:
    """How far beyond a pixel the network looks, to the next multiple.

    A convolution of three pixels looks one pixel of its floor further: there is one before the floors, there
    are four on each floor and two on the lowest; and a pixel of a floor is itself so many of the picture.
    """
    floors = [FOLD << floor for floor in range(depth)]
    reach = FOLD + 4 * sum(floors[:-1]) + 2 * floors[-1] + floors[-1]
    return -(-reach // floors[-1]) * floors[-1]


def built(classes: int, *, width: int, depth: int) -> UnetHv:
    """A network without weights, which `started` or a state must give it; see `UnetHv`."""
    with torch.device("meta"):  # takes no memory, and no random numbers
        return UnetHv(classes, width=width, depth=depth)


def started(classes: int, generator: torch.Generator, *, width: int, depth: int) -> UnetHv:
    """A network with weights as He et al. (2015) draw them, on the device of the generator.

    Parameters
    ----------
    classes, width, depth
        See `UnetHv`.
    generator
        Draws the weights.
    """
    network = built(classes, width=width, depth=depth).to_empty(device=generator.device)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        network.head.weight *= 0.1  # begins with maps near 0, as most of their pixels are
    return network
