"""Encoders of timm under the decoders of cellseg-models-pytorch: what they are like, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias

import torch

from triptych.core.checks import Faults, nearest
from triptych.core.errors import RecipeError
from triptych.core.extras import need

Family: TypeAlias = Literal["hovernet", "cellvit"]
Colours: TypeAlias = tuple[float, ...]
Settings: TypeAlias = Mapping[str, Any]

EXTRA: Final = "nuclei"
# without which the library cannot be imported; they are missing where it was installed without dependencies
PACKAGES: Final = ("torchvision", "timm", "mpire", "rasterio", "cv2", "geopandas", "numba")
STAGES: Final = 4  # of a decoder
SAM: Final = "samvit_"
REFUSALS: Final = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Encoder:
    """Facts about an encoder of timm.

    Parameters
    ----------
    name
        In timm.
    settings
        Its arguments.
    reductions
        Pixels of the picture per pixel of each level.
    mean, std
        Subtracted from colours in 0 … 1, and what they are then divided by.
    published
        What timm knows of its weights.
    """

    name: str
    settings: Settings
    reductions: tuple[int, ...]
    mean: Colours
    std: Colours
    published: Mapping[str, Any]

    @property
    def flat(self) -> bool:
        """Whether all levels have one resolution, as in vision transformers."""
        return len(set(self.reductions)) == 1

    @property
    def levels(self) -> tuple[int, ...]:
        """The four that the decoders see: the first ones, or blocks at equal distances up to the last."""
        if not self.flat:
            return tuple(range(STAGES))
        return tuple(len(self.reductions) * stage // STAGES - 1 for stage in range(1, STAGES + 1))

    @property
    def multiple_px(self) -> int:
        """Of what the sides of a picture must be a multiple."""
        return max(self.reductions[level] for level in self.levels)


def library() -> ModuleType:
    """timm, once everything that the networks need is there.

    Raises
    ------
    MissingExtraError
        When a package is not installed.
    """
    for package in PACKAGES:
        need(package, EXTRA)
    need("cellseg_models_pytorch", EXTRA)
    return need("timm", EXTRA)


def encoder_of(family: Family, name: str, settings: Settings) -> Encoder:
    """What an encoder is like, found without making its weights.

    Parameters
    ----------
    family
        Of the network.
    name
        In timm.
    settings
        Arguments for timm. Of transformers that are not SAM's, the size of the picture is left open.

    Raises
    ------
    RecipeError
        When timm has no such encoder, refuses the settings, or the family cannot use it.
    MissingExtraError
        When a package is not installed.
    """
    timm = library()
    if "." in name or not timm.is_model(name):
        raise RecipeError(f"timm has no encoder {name}.", nearest(name, timm.list_models()))
    published = timm.get_pretrained_cfg(name).to_dict()
    own = {"num_classes": 0} | ({"dynamic_img_size": True} if _fixed(name, published) else {})
    settings = own | dict(settings)
    try:
        with torch.device("meta"):  # takes no memory and no random numbers
            model = timm.create_model(name, **settings)
    except REFUSALS as error:
        raise RecipeError(f"timm cannot build {name} with {settings}: {error}.") from error
    reductions = tuple(int(level["reduction"]) for level in getattr(model, "feature_info", ()))
    mean, std = (tuple(float(value) for value in published[which]) for which in ("mean", "std"))
    encoder = Encoder(name, settings, reductions, mean, std, published)
    _check(family, encoder, model)
    return encoder


def _fixed(name: str, published: Mapping[str, Any]) -> bool:
    """Whether timm's model wants pictures of one size unless it is told otherwise."""
    return bool(published.get("fixed_input_size")) and not name.startswith(SAM)


def _check(family: Family, encoder: Encoder, model: Any) -> None:
    """Refuse encoders on which four stages of decoders cannot stand."""
    faults, reductions = Faults(f"{family} on {encoder.name}"), encoder.reductions
    faults.check(hasattr(model, "forward_intermediates"), "timm gives no levels of this encoder.")
    if faults.check(len(reductions) >= STAGES, f"it has {len(reductions)} levels, and {STAGES} are needed."):
        if encoder.flat:  # the library doubles the resolution three times
            whole = reductions[0] % 2 ** (STAGES - 1) == 0
            faults.check(whole, f"its patches have {reductions[0]} px, which is no multiple of 8.")
        else:
            faults.check(family == "hovernet", "cellvit wants a vision transformer; use hovernet.")
    faults.raise_if_any(RecipeError)
