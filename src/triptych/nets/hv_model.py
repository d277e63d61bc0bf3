"""A trained network that tells nuclei by horizontal and vertical maps, saved and applied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.models import Saved
from triptych.core.nuclei import Found
from triptych.core.protocols import Pixels
from triptych.core.settings import device
from triptych.maths.hv import instances_of, probabilities_of
from triptych.maths.threads import one_thread

if TYPE_CHECKING:
    from torch import nn

Float32 = NDArray[np.float32]
# What builds a network, (classes, **arguments) → torch module, whose weights are then replaced. A table, for
# a file must not choose what is imported.
ARCHITECTURES: Final = {
    "unet-hv": "triptych.nets.unet_hv:built",
    "cellseg": "triptych.nets.cellseg:built",
}
COUNTER: Final = "num_batches_tracked"  # of normalisations; no prediction needs it
PLAIN: Final = (1, 2, 4, 8)
MAPS: Final = 3  # nucleus, horizontal, vertical


@dataclass(frozen=True, eq=False)
class HvModel(Saved):
    """A network and how its maps become nuclei.

    Parameters
    ----------
    network
        Weights and buffers by name.
    architecture
        A name of `ARCHITECTURES`.
    arguments
        With which the network is built, beside the number of classes.
    classes
        Names of the types.
    mpp
        µm per pixel that pictures must have.
    halo_px
        How far beyond a pixel the network looks.
    multiple_px
        Of what the sides of its pictures must be a multiple; others are filled up with their reflection.
    threshold
        Probability above which a pixel is in a nucleus.
    least_px
        Area of the smallest nucleus.
    views
        In how many of its eight views a picture is looked at; the mean of the maps counts.
    losses
        Of each step of the training.
    """

    network: dict[str, NDArray[Any]]
    architecture: str
    arguments: dict[str, Any]
    classes: tuple[str, ...]
    mpp: float
    halo_px: int
    multiple_px: int
    threshold: float
    least_px: int
    views: int
    losses: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"its architecture {self.architecture} is none of {listing(ARCHITECTURES)}")
        if self.views not in PLAIN:
            raise ValueError(f"its views are {self.views}, not one of {PLAIN}")
        if self.multiple_px < 1 or self.halo_px < 0 or not self.mpp > 0:
            raise ValueError("its sizes in pixels make no sense")
        _ = self.net  # weights of another network are refused here

    @cached_property
    def net(self) -> nn.Module:
        """The network, ready to predict, on the device that the environment names."""
        import torch

        module, _, name = ARCHITECTURES[self.architecture].partition(":")
        net: nn.Module = getattr(import_module(module), name)(len(self.classes), **self.arguments)
        state = {key: torch.from_numpy(np.array(value)) for key, value in self.network.items()}
        state |= {key: torch.tensor(0) for key in net.state_dict() if key.endswith(COUNTER)}
        try:
            net.load_state_dict(state, assign=True)
        except RuntimeError as error:  # torch's word for weights of another network
            raise ValueError(f"its weights are not those of its network: {error}") from error
        net.eval().requires_grad_(requires_grad=False)
        return net.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return,unused-ignore]

    def maps(self, windows: Pixels) -> Float32:
        """What the network says of pictures.

        Parameters
        ----------
        windows
            Shape (b, h, w, 3).

        Returns
        -------
        Logit of a nucleus, horizontal and vertical map, logits of background and of the c classes, shape
        (b, 3 + 1 + c, h, w).

        Raises
        ------
        DataError
            When these are no pictures.
        """
        _check(windows)
        height, width = windows.shape[1:3]
        down, right = -height % self.multiple_px, -width % self.multiple_px
        # below and to the right only: the squares that the network pools stay where they are
        filled = np.pad(windows, ((0, 0), (0, down), (0, right), (0, 0)), mode="reflect")
        with one_thread():
            seen = [self._seen(filled, view) for view in range(0, PLAIN[-1], PLAIN[-1] // self.views)]
        mean = sum(seen[1:], start=seen[0]) / np.float32(len(seen))
        return np.ascontiguousarray(mean[:, :, :height, :width])

    def segment(self, window: Pixels) -> Found:
        """The nuclei of a picture.

        Parameters
        ----------
        window
            Shape (h, w, 3).

        Raises
        ------
        DataError
            When it is no picture.
        """
        (maps,) = self.maps(window[None])
        probability = 1 / (1 + np.exp(-maps[0]))
        instances = instances_of(probability, maps[1:MAPS], threshold=self.threshold, least_px=self.least_px)
        return Found(instances, probabilities_of(instances, maps[MAPS + 1 :]))

    def _seen(self, windows: Pixels, view: int) -> Float32:
        """Maps as seen in one view, laid back."""
        import torch

        from triptych.nets.hv_augmentation import hv_turned_back, turned, turned_back
        from triptych.nets.hv_training import short

        on = torch.device(device())
        laid = np.ascontiguousarray(turned(windows.transpose(0, 3, 1, 2), view))
        pixels = torch.from_numpy(laid).to(on).float().div_(255)
        with torch.inference_mode(), short(on):
            maps = self.net(pixels.contiguous(memory_format=torch.channels_last))
        said = maps.float().cpu().numpy()
        back = np.ascontiguousarray(turned_back(said, view))
        back[:, 1:MAPS] = np.stack([hv_turned_back(one, view) for one in said[:, 1:MAPS]])
        return back


def to_arrays(net: nn.Module) -> dict[str, NDArray[Any]]:
    """Weights and buffers of a network by name."""
    return {
        name: np.array(value.detach().cpu().numpy())
        for name, value in net.state_dict().items()
        if not name.endswith(COUNTER)
    }


def _check(windows: Pixels) -> None:
    faults = Faults("nuclei")
    shaped = windows.ndim == 4 and windows.shape[-1] == 3 and windows.size > 0
    faults.check(
        shaped, f"the windows have shape {windows.shape}; they need (b, h, w, 3), red, green and blue."
    )
    faults.check(windows.dtype == np.uint8, f"the pixels are {windows.dtype}; they need uint8, 0 … 255.")
    faults.raise_if_any()
