"""Networks of cellseg-models-pytorch with encoders of timm: HoVer-Net and CellViT, as one tensor of maps.

HoVer-Net (Graham et al. 2019) has dense units in its decoders, CellViT (Hörst et al. 2024) the plain ones
of a U-Net over a vision transformer. Each has three decoders: nuclei, horizontal and vertical maps, types.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from triptych.core.extras import need
from triptych.nets.cellseg_encoder import EXTRA, SAM, STAGES, Encoder, Family, Settings, encoder_of
from triptych.nets.seeding import global_torch_seed

DEPTHS: Final = (3, 2, 2, 2)  # convolutions in each stage of CellViT's decoders
MASK, OFFSETS, KINDS = "binary", "hovernet", "type"


def network(
    encoder: Encoder,
    family: Family,
    channels: tuple[int, ...],
    *,
    classes: int,
    seed: int,
    frozen: bool = False,
) -> Maps:
    """A network with weights at random.

    Parameters
    ----------
    encoder
        As `encoder_of` gave it.
    family
        What its decoders are like.
    channels
        Width of each of their four stages, the deepest first.
    classes
        Number of types, c.
    seed
        Decides the weights; torch's own generators are left as they were.
    frozen
        Whether the encoder is never trained.
    """
    heads = {MASK: {"nuc_binary": 1}, OFFSETS: {"nuc_hovernet": 2}, KINDS: {"nuc_type": 1 + classes}}
    sam = family == "cellvit" and encoder.name.startswith(SAM)
    make = _of_library if sam or family == "hovernet" else _of_parts
    with global_torch_seed(seed):
        inner = make(family, encoder, channels, heads)
    return Maps(inner, encoder, frozen=frozen)


def built(
    classes: int, *, family: Family, encoder: str, settings: Settings, channels: tuple[int, ...]
) -> Maps:
    """A network whose weights and colours are to be replaced, see `triptych.nets.hv_model`.

    Parameters
    ----------
    classes, family, channels
        See `network`.
    encoder, settings
        See `encoder_of`.
    """
    return network(encoder_of(family, encoder, settings), family, tuple(channels), classes=classes, seed=0)


class Maps(nn.Module):
    """A network of the library as colours → maps.

    Parameters
    ----------
    inner
        Holds the encoder under its name, and ``decoder``.
    encoder
        How colours are normalised, once.
    frozen
        Whether the encoder keeps its weights and its running moments.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, inner: nn.ModuleDict, encoder: Encoder, *, frozen: bool = False) -> None:
        super().__init__()
        self.inner, self.name, self.frozen = inner, encoder.name, frozen
        for which, values in (("mean", encoder.mean), ("std", encoder.std)):
            self.register_buffer(which, torch.tensor(values).view(3, 1, 1))
        if frozen:
            self.encoder.requires_grad_(requires_grad=False)

    @property
    def encoder(self) -> nn.Module:
        """The model of timm."""
        found: nn.Module = self.inner.get_submodule(f"{self.name}.encoder.encoder")
        return found

    def train(self, mode: bool = True) -> Maps:  # noqa: FBT001, FBT002  # torch's signature
        """Learning or not; a frozen encoder never learns."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Colours in 0 … 1 → logit of nuclei, horizontal and vertical map, logits of background and types.

        From (b, 3, h, w) to (b, 1 + 2 + 1 + c, h, w). The library puts the vertical map first.
        """
        _, levels = self.inner[self.name]((x - self.mean) / self.std)
        found = self.inner["decoder"](levels).nuc_map
        return torch.cat([found.binary_map, found.aux_map.flip(1), found.type_map], dim=1)


def _of_library(family: Family, encoder: Encoder, channels: tuple[int, ...], heads: Any) -> nn.ModuleDict:
    """The library's own network."""
    where, kind = {
        "hovernet": ("hovernet.hovernet_unet", "HoverNetUnet"),
        "cellvit": ("cellvit.cellvit_unet", "CellVitSamUnet"),
    }[family]
    made: nn.ModuleDict = getattr(need(f"cellseg_models_pytorch.models.{where}", EXTRA), kind)(
        decoders=tuple(heads),
        heads=heads,
        out_channels=channels,
        enc_name=encoder.name,
        enc_pretrain=False,
        enc_out_indices=encoder.levels,
        encoder_kws=dict(encoder.settings),
    )
    return made


def _of_parts(family: Family, encoder: Encoder, channels: tuple[int, ...], heads: Any) -> nn.ModuleDict:
    """CellViT's network, from the library's parts, as its own class takes the encoders of SAM only."""
    encoders = need("cellseg_models_pytorch.encoders", EXTRA)
    decoders = need("cellseg_models_pytorch.decoders.multitask_decoder", EXTRA)
    shape = need("cellseg_models_pytorch.models.cellvit._conf", EXTRA)
    trunk = encoders.Encoder(encoder.name, encoder.levels, False, dict(encoder.settings))  # noqa: FBT003
    stages = shape._create_cellvit_args(
        DEPTHS, "bn", "relu", "conv", None, preact=True, preattend=False, short_skip="basic",
        use_style=False, merge_policy="cat", skip_params=None,
    )  # fmt: skip
    decoder = decoders.MultiTaskDecoder(
        decoders=tuple(heads),
        heads=heads,
        out_channels=channels,
        enc_feature_info=trunk.feature_info,
        n_layers=(1,) * STAGES,
        n_blocks=tuple((depth,) for depth in DEPTHS),
        stage_kws=stages,
    )
    decoder.initialize()
    return nn.ModuleDict({encoder.name: trunk, "decoder": decoder})
