"""Fitted models: what a component learned, as a value that saves to and loads from a folder.

A component that learns has ``fit``, which takes what its verb takes and gives a `Fit`: the result on the
observations it learned from, and the model, whose ``apply`` gives the result on others. Saving writes
arrays (safetensors) and everything else (JSON); nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from triptych.core.errors import WeightsError

Value = TypeVar("Value")
Model = TypeVar("Model")
ARRAYS, ABOUT, FORMAT = "arrays.safetensors", "model.json", 1


class Fit(NamedTuple, Generic[Value, Model]):
    """What fitting gives.

    Attributes
    ----------
    value
        The result on the observations of the fit, one row each.
    model
        What was learned; ``model.apply`` takes other observations.
    """

    value: Value
    model: Model


class Saved:
    """A frozen dataclass of arrays and plain values that saves to and loads from a folder.

    Fields may be numpy arrays of numbers or dicts of such arrays; None, numbers, text, tuples, dicts; and
    components, which are validated on loading as their own fields demand.
    """

    def save(self, folder: Path) -> None:
        """Write `ARRAYS` and `ABOUT` to a folder, made if need be.

        Parameters
        ----------
        folder
            Of this model alone.
        """
        from safetensors.numpy import save_file

        arrays: dict[str, NDArray[Any]] = {}
        plain: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            elif isinstance(value, dict) and value and all(isinstance(v, np.ndarray) for v in value.values()):
                arrays.update({f"{field.name}.{key}": array for key, array in value.items()})
            else:
                plain[field.name] = TypeAdapter(type(value)).dump_python(value, mode="json")
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
        about = {
            "format": FORMAT, "model": type(self).__qualname__, "values": plain,
            "sha256": _digest(folder / ARRAYS),
        }  # fmt: skip
        (folder / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        WeightsError
            When files are missing or damaged, or hold another model.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        for name in (ARRAYS, ABOUT):
            if not (folder / name).is_file():
                raise WeightsError(f"{folder} holds no {name}.", "Give the folder that save wrote.")
        try:
            about = json.loads((folder / ABOUT).read_text("utf-8"))
            if about["format"] != FORMAT or about["model"] != cls.__qualname__:
                raise ValueError(f"it holds {about['model']} of format {about['format']}")
            if about["sha256"] != _digest(folder / ARRAYS):
                raise ValueError(f"{ARRAYS} was changed")
            return cls(**_validated(cls, about["values"], load_file(folder / ARRAYS)))
        except (
            SafetensorError, ValidationError, PydanticUserError,
            AttributeError, LookupError, TypeError, ValueError,
        ) as error:  # fmt: skip
            raise WeightsError(
                f"{folder} is not a saved {cls.__qualname__}: {error}.", "Fit and save it again."
            ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _validated(cls: type, plain: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Values of the fields, those that are not arrays as their annotations demand."""
    if not is_dataclass(cls):
        raise TypeError(f"{cls.__qualname__} is no dataclass")
    hints, known = get_type_hints(cls), {field.name for field in fields(cls)}
    values: dict[str, Any] = {
        name: None if value is None else TypeAdapter(hints[name]).validate_python(value)
        for name, value in plain.items()
    }
    for name, array in arrays.items():
        field, dot, key = name.partition(".")
        if field not in known:
            raise ValueError(f"{field} is no part of it")
        if dot:
            values.setdefault(field, {})[key] = array
        else:
            values[field] = array
    return values
