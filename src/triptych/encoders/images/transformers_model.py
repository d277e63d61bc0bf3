"""Image encoders whose model transformers builds, from weights and a config.json that lie together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from triptych.core.errors import WeightsError
from triptych.core.extras import need
from triptych.encoders import weights as store
from triptych.encoders.images.published_model import PublishedModel

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG: Final = "config.json"
RENAMED: Final = (  # parts of names in published files → in the modules of newer versions of transformers
    (".attention.attention.query.", (".attention.q_proj.",)),
    (".attention.attention.key.", (".attention.k_proj.",)),
    (".attention.attention.value.", (".attention.v_proj.",)),
    (".attention.output.dense.", (".attention.o_proj.",)),
    (".mlp.weights_in.", (".mlp.gate_proj.", ".mlp.up_proj.")),  # the first half of the rows, the second
    (".mlp.weights_out.", (".mlp.down_proj.",)),
)


@dataclass(frozen=True)
class TransformersModel(PublishedModel):
    """A model of transformers with published weights; a subclass says which.

    The architecture comes from the parameters and is compared with config.json; nothing else of that file
    reaches transformers, which would follow it to code elsewhere.

    Parameters
    ----------
    window_um
        Side of the tissue seen.
    weights
        A folder with the weights and their config.json, the file of weights in it, or ``hub``.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    extra: ClassVar[tuple[str, str]] = ("transformers", "foundation")
    family: ClassVar[str]  # of transformers: its module of models
    kind: ClassVar[str]  # beginning of the names of its classes

    def architecture(self, config: dict[str, Any], path: Path) -> dict[str, Any]:
        """What the model is built with, after comparing it with what config.json at ``path`` holds.

        Raises
        ------
        WeightsError
            When it is of another model; all faults together.
        """
        raise NotImplementedError

    def paths(self) -> tuple[Path, Path]:
        """Weights and config.json.

        Raises
        ------
        WeightsError
            When they cannot be had.
        """
        path = store.find(self.weights, self.wanted, *self.files)
        if self.weights == store.HUB:
            return path, store.find(self.weights, self.wanted, CONFIG)
        config = path.parent / CONFIG
        if not config.is_file():
            raise WeightsError(
                f"{self.card.name}: {path.parent} holds no {CONFIG} beside {path.name}.",
                f"Download both from https://huggingface.co/{self.wanted.source} into one folder.",
            )
        return path, config

    def filled(self) -> nn.Module:
        """The model with its weights.

        Raises
        ------
        WeightsError
            When they cannot be had, are damaged, or are of another model than the parameters say.
        MissingExtraError
            When transformers is not installed.
        """
        import torch

        need("transformers", "foundation")  # first, for its message
        module = f"transformers.models.{self.family}"
        config = getattr(need(f"{module}.configuration_{self.family}", "foundation"), f"{self.kind}Config")
        model_of = getattr(need(f"{module}.modeling_{self.family}", "foundation"), f"{self.kind}Model")
        path, beside = self.paths()
        sizes = self.architecture(store.mapping(beside), beside)
        with torch.device("meta"):  # takes no memory, no time and no random numbers
            model: nn.Module = model_of(config(**sizes))
        store.fill(model, renamed(store.read(path), set(model.state_dict())), path, beside=self.beside)
        return model


def renamed(state: dict[str, Tensor], known: set[str]) -> dict[str, Tensor]:
    """A state dict under the names of the installed version, in which published names may have changed.

    Parameters
    ----------
    state
        Name → tensor, as in the file.
    known
        Names of the model; those of the file that are among them stay.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        found |= {name: value} if name in known else _renamed(name, value, known)
    return found


def _renamed(name: str, value: Tensor, known: set[str]) -> dict[str, Tensor]:
    """The tensor under its new name, its halves under two of them, or as it is where nothing fits."""
    for old, new in RENAMED:
        names = [name.replace(old, part) for part in new]
        if old in name and known.issuperset(names) and value.ndim and len(value) % len(names) == 0:
            return dict(zip(names, value.tensor_split(len(names)), strict=True))
    return {name: value}
