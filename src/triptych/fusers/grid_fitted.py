"""A fitted grid-triplet: applies to sections it has never seen, saves and loads without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from triptych.core.checks import Faults, listing
from triptych.core.errors import WeightsError
from triptych.core.protocols import Array, Matrix, Places
from triptych.fusers.grid_triplet import GridTriplet, beside, check, gather, scale, threads_for

if TYPE_CHECKING:
    import torch

    from triptych.nets.grid import Encoder, Statistics

WEIGHTS, ABOUT = "grid_triplet.safetensors", "grid_triplet.json"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class FittedGridTriplet:
    """What `GridTriplet.fit` learned.

    Parameters
    ----------
    component
        With which parameters.
    roles
        Dimensions of each view, in the order of their channels.
    ranges
        Least and greatest value of each channel, shape (2, sum of d).
    encoder
        The network.
    statistics
        Mean and variance of the channels of its convolution.
    losses
        By epoch.
    dropout_seed
        Of the passes with dropout, when there are any.
    """

    component: GridTriplet
    roles: dict[str, int]
    ranges: NDArray[np.float64]
    encoder: Encoder
    statistics: Statistics
    losses: tuple[float, ...]
    dropout_seed: int

    def transform(self, views: Mapping[str, Array], places: Places, *, device: str = "cpu") -> Matrix:
        """Codes of observations, with the ranges and the network of the fit.

        Parameters
        ----------
        views
            The same roles and dimensions as in the fit, each of shape (n, d).
        places
            Where the n observations lie.
        device
            Of torch.

        Returns
        -------
            Shape (n, latent).

        Raises
        ------
        DataError
            When the views are not those of the fit.
        """
        import torch

        from triptych.nets.grid_training import embed

        self._check(views, places)
        component = self.component
        windows = gather(
            scale(beside(views), self.ranges),
            places,
            window=component.window,
            lattice=component.lattice,
            device=device,
        )
        mean, variance = (part.to(device) for part in self.statistics)
        with threads_for(windows):
            return embed(
                deepcopy(self.encoder).to(device),  # moving would change the one that is kept
                (mean, variance),
                windows,
                passes=component.monte_carlo,
                dropout=component.dropout,
                generator=torch.Generator(device).manual_seed(self.dropout_seed),
            )

    def _check(self, views: Mapping[str, Array], places: Places) -> None:
        faults = Faults("grid-triplet")
        missing = [role for role in self.roles if role not in views]
        extra = [role for role in views if role not in self.roles]
        faults.check(
            not missing, f"the model was fitted with {listing(self.roles)}; {listing(missing)} is missing."
        )
        faults.check(not extra, f"the model was not fitted with {listing(extra)}.")
        for role, columns in self.roles.items():
            if role in views:
                faults.check(
                    views[role].shape[1:] == (columns,),
                    f"the view {role} has shape {views[role].shape}; the fit had {columns} columns.",
                )
        faults.raise_if_any()
        check(views, places, {})

    def save(self, folder: Path) -> None:
        """Write weights and ranges (safetensors) and everything else (JSON) to a folder, made if need be."""
        import torch
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"encoder.{name}": value.cpu().contiguous() for name, value in self.encoder.state_dict().items()
        }
        tensors["mean"], tensors["variance"] = (part.cpu().contiguous() for part in self.statistics)
        tensors["ranges"] = torch.from_numpy(self.ranges.copy())
        save_file(tensors, folder / WEIGHTS)
        about = {
            "format": FORMAT,
            "component": asdict(self.component),
            "roles": self.roles,
            "losses": self.losses,
            "dropout_seed": self.dropout_seed,
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FittedGridTriplet:
        """Read what `save` wrote.

        Raises
        ------
        WeightsError
            When files are missing, or are not such a model.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for name in (WEIGHTS, ABOUT):
            if not (folder / name).is_file():
                raise WeightsError(f"{folder} holds no {name}.", "Give the folder that save wrote.")
        try:
            about = TypeAdapter(_About).validate_json((folder / ABOUT).read_bytes())
            tensors = load_file(folder / WEIGHTS)
            return cls._from(about, tensors)
        except (ValidationError, SafetensorError, KeyError, RuntimeError) as error:
            raise WeightsError(f"{folder} is not a grid-triplet model: {error}", "Save it again.") from error

    @classmethod
    def _from(cls, about: _About, tensors: dict[str, torch.Tensor]) -> FittedGridTriplet:
        import torch

        from triptych.nets.grid import Encoder

        component = about.component
        shape = component.shape(sum(about.roles.values()))
        encoder = Encoder(shape, torch.Generator().manual_seed(0)).requires_grad_(requires_grad=False)
        prefix = "encoder."
        encoder.load_state_dict(
            {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        )
        ranges = tensors["ranges"].reshape(2, shape.channels).numpy()
        width = shape.members * shape.hidden
        statistics = (tensors["mean"].reshape(width), tensors["variance"].reshape(width))
        return cls(component, about.roles, ranges, encoder, statistics, about.losses, about.dropout_seed)


@dataclass(frozen=True)
class _About:
    """The JSON file, as validated on reading."""

    format: int
    component: GridTriplet
    roles: dict[str, int]
    losses: tuple[float, ...]
    dropout_seed: int

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format} is not {FORMAT}: another version of triptych wrote it")
