"""The loss of networks that tell nuclei by horizontal and vertical maps (Graham et al. 2019, HoVer-Net).

    L = BCE + Dice  (nuclei)  + 2 MSE + MSE of the gradients  (maps)  + (CE + Dice) / 2  (types)

Pixels of which nothing is known take part in no term, nuclei of unknown type in none of the types. Where
nothing at all is known, every term is 0, and so is its slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, cross_entropy

from triptych.nets.unet_hv import MAPS

SIDE: Final = 5  # pixels of the window in which a gradient is measured
SMOOTH: Final = 1.0  # pixels added above and below in a Dice, which is then 1 of nothing in nothing
WEIGHTS: Final = {
    "nuclei": 1.0,
    "nuclei_dice": 1.0,
    "maps": 2.0,
    "slopes": 1.0,
    "types": 0.5,
    "types_dice": 0.5,
}


@dataclass(frozen=True, eq=False)
class Targets:
    """What is known of a batch.

    Parameters
    ----------
    nucleus
        Which pixels are in a nucleus, shape (b, h, w).
    hv
        Horizontal and vertical map, shape (b, 2, h, w).
    types
        0 = background, 1 + the code of the class, shape (b, h, w); anything where ``typed`` is false.
    known
        Where anything is known, shape (b, h, w).
    typed
        Where the type is known too, shape (b, h, w).
    """

    nucleus: Tensor
    hv: Tensor
    types: Tensor
    known: Tensor
    typed: Tensor


def loss_terms(maps: Tensor, targets: Targets, class_weights: Tensor) -> dict[str, Tensor]:
    """Each term of the loss, scalars by the names in `WEIGHTS`.

    Parameters
    ----------
    maps
        What the network says, shape (b, 3 + 1 + c, h, w).
    targets
        What is known.
    class_weights
        Of background and of each class in the cross-entropy, shape (1 + c,).
    """
    known, nucleus = targets.known.float(), targets.nucleus.float()
    said = maps[:, 0]
    entropy = binary_cross_entropy_with_logits(said, nucleus, reduction="none")
    error = (maps[:, 1:MAPS] - targets.hv) * known[:, None]  # nothing of what is unknown passes
    terms = {
        "nuclei": _mean(entropy, known),
        "nuclei_dice": dice_loss(said.sigmoid()[None], nucleus[None], known),
        "maps": _mean(error.square().mean(1), known),
        "slopes": _mean(slopes(error).square().mean(1), known * nucleus),
    }
    return terms | type_terms(maps[:, MAPS:], targets, class_weights)


def type_terms(logits: Tensor, targets: Targets, class_weights: Tensor) -> dict[str, Tensor]:
    """The terms of the types; the Dice is the mean over the classes that the batch shows."""
    if len(class_weights) < 2:
        return {}
    typed = targets.typed.float()
    types = torch.where(targets.typed, targets.types, 0)
    weight = class_weights[types] * typed
    entropy = cross_entropy(logits, types, reduction="none")
    truth = torch.stack([types == code for code in range(1, len(class_weights))]).float()
    shown = (truth * typed).sum((1, 2, 3)) > 0
    dice = dice_losses(logits.softmax(1)[:, 1:].transpose(0, 1), truth, typed)
    return {"types": _mean(entropy, weight), "types_dice": _mean(dice, shown.float())}


def total(terms: dict[str, Tensor]) -> Tensor:
    """Their sum as `WEIGHTS` weigh them."""
    return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()


def dice_losses(guess: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """1 − (2 Σ gt + 1) / (Σ g + Σ t + 1) for each of k maps, shape (k, b, h, w) each; shape (k,)."""
    guess, truth = guess * known, truth * known
    both, either = (guess * truth).sum((1, 2, 3)), (guess + truth).sum((1, 2, 3))
    return 1 - (2 * both + SMOOTH) / (either + SMOOTH)


def dice_loss(guess: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """That of one map, shape (1, b, h, w), as a scalar."""
    return dice_losses(guess, truth, known)[0]


def slopes(maps: Tensor) -> Tensor:
    """Slope of the horizontal map along x and of the vertical one along y, shape (b, 2, h, w) as the maps.

    The weights of a pixel at (x, y) from the middle are x / (x² + y²) and y / (x² + y²).
    """
    at = torch.arange(SIDE, device=maps.device, dtype=maps.dtype) - SIDE // 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    square = (x * x + y * y).clamp(min=1)  # the middle alone is below 1, and its weight 0
    kernels = torch.stack([x / square, y / square])[:, None]
    return conv2d(maps, kernels, padding=SIDE // 2, groups=2)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean; 0 where nothing weighs anything."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
