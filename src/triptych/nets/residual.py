"""A residual network of eighteen layers (He et al. 2016) from windows of pixels to 512 numbers.

Its modules are named as in the checkpoint ``microsoft/resnet-18``, so that its weights can be a start.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from triptych.core.checks import Faults, listing
from triptych.core.errors import WeightsError

WIDTHS: Final = (64, 128, 256, 512)
FEATURES: Final = WIDTHS[-1]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels of ImageNet
FILE: Final = "model.safetensors"
PREFIX: Final = "resnet."
BESIDE: Final = ("classifier.",)
COUNTER: Final = "num_batches_tracked"


class Convolution(nn.Module):
    """A convolution and its normalisation."""

    def __init__(self, wide: int, narrow: int, side: int, generator: torch.Generator, *, stride: int) -> None:
        super().__init__()
        device = generator.device
        with torch.device("meta"):  # draws nothing
            self.convolution = nn.Conv2d(wide, narrow, side, stride=stride, padding=side // 2, bias=False)
        drawn = torch.randn(narrow, wide, side, side, generator=generator, device=device)
        # He et al. 2015, by what a unit passes on
        self.convolution.weight = nn.Parameter(drawn * math.sqrt(2 / (narrow * side**2)))
        self.normalization = nn.BatchNorm2d(narrow, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """(b, wide, h, w) → (b, narrow, h / stride, w / stride)."""
        normed: Tensor = self.normalization(self.convolution(x))
        return normed


class Block(nn.Module):
    """Two convolutions around which the input passes."""

    def __init__(self, wide: int, narrow: int, generator: torch.Generator, *, stride: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(
            [
                Convolution(wide, narrow, 3, generator, stride=stride),
                Convolution(narrow, narrow, 3, generator, stride=1),
            ]
        )
        changes = stride != 1 or wide != narrow
        self.shortcut = Convolution(wide, narrow, 1, generator, stride=stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(b, wide, h, w) → (b, narrow, h / stride, w / stride)."""
        first, second = self.layer
        passed = x if self.shortcut is None else self.shortcut(x)
        return relu(second(relu(first(x), inplace=True)) + passed, inplace=True)


class Residual(nn.Module):
    """Windows → features, the mean over the last planes.

    Parameters
    ----------
    generator
        Draws the initial weights, on its device.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        stages, wide = [], WIDTHS[0]
        for number, narrow in enumerate(WIDTHS):
            stride = 1 if number == 0 else 2
            pair = [
                Block(wide, narrow, generator, stride=stride),
                Block(narrow, narrow, generator, stride=1),
            ]
            stages.append(nn.Sequential(OrderedDict(layers=nn.Sequential(*pair))))
            wide = narrow
        enter = Convolution(3, WIDTHS[0], 7, generator, stride=2)
        self.embedder = nn.ModuleDict({"embedder": enter})
        self.encoder = nn.Sequential(OrderedDict(stages=nn.Sequential(*stages)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised windows (b, 3, h, w) → (b, 512)."""
        x = max_pool2d(relu(self.embedder["embedder"](x), inplace=True), 3, stride=2, padding=1)
        planes: Tensor = self.encoder(x)
        return planes.mean((2, 3))


def normalised(pixels: NDArray[np.uint8], device: torch.device | str) -> Tensor:
    """Windows (b, h, w, 3) as the network wants them, (b, 3, h, w)."""
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, STD))
    return (torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255 - mean) / std


def turned(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each window in one of its eight symmetric views, drawn."""
    which = torch.randint(8, (len(x),), generator=generator, device=x.device)
    out = torch.empty_like(x)
    for view in range(8):
        some = which == view
        one = torch.rot90(x[some], view % 4, (2, 3))
        out[some] = one.flip(3) if view > 3 else one
    return out


def weights_in(place: str) -> Path:
    """The file of weights that a parameter names: itself, or `FILE` in a folder.

    Raises
    ------
    WeightsError
        When there is none.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        raise WeightsError(
            f"There is no {path}.",
            "Download model.safetensors of https://huggingface.co/microsoft/resnet-18 and set weights to it "
            "or its folder, or leave weights empty to begin at random.",
        )
    return path


def fill(network: Residual, path: Path) -> None:
    """Put published weights into a network, all of them.

    Raises
    ------
    WeightsError
        When the file is damaged or of another model; all faults together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no file of safetensors: {error}.", "Get the file again.") from error
    state = {name.removeprefix(PREFIX): value for name, value in held.items() if not name.startswith(BESIDE)}
    wanted = network.state_dict()
    faults = Faults(f"{path} does not fit the residual network")
    missing = [name for name in wanted if name not in state and not name.endswith(COUNTER)]
    unexpected = [name for name in state if name not in wanted]
    other = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    for names, what in ((missing, "missing"), (unexpected, "unexpected"), (other, "of another shape")):
        faults.check(not names, f"{what}: {listing(names, 4)}.")
    faults.raise_if_any(WeightsError, "It holds the weights of another model.")
    network.load_state_dict(wanted | state)
