"""Optional packages, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from triptych.core.errors import MissingExtraError


def need(module: str, extra: str) -> ModuleType:
    """Import an optional module or say how to get it.

    Parameters
    ----------
    module
        Importable name.
    extra
        The extra of triptych that installs it.

    Raises
    ------
    MissingExtraError
        When it is not installed. An import error inside an installed package surfaces as it is.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingExtraError(f"{module} is not installed.", f"pip install 'triptych[{extra}]'") from error
