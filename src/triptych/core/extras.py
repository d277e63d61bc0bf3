"""Optional packages, imported where they are used."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

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
        When it is not installed, or cannot work because torchvision was built for another torch. Any other
        error inside an installed package surfaces as it is.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingExtraError(f"{module} is not installed.", f"pip install 'triptych[{extra}]'") from error
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise MissingExtraError(
            f"{module} imports torchvision, which was built for another torch than the one installed.",
            "Install torch and torchvision of one build, or remove torchvision if no image encoder needs it.",
        ) from error


def check(components: Iterable[Any]) -> None:
    """Refuse, before anything runs, components whose packages are not installed.

    Parameters
    ----------
    components
        Those that need a package name it in ``extra: ClassVar[tuple[str, str]]``, a module and the extra.

    Raises
    ------
    MissingExtraError
        With every package that is missing; none is imported.
    """
    wanted = dict.fromkeys(extra for one in components if (extra := getattr(one, "extra", None)))
    absent = [(module, extra) for module, extra in wanted if find_spec(module) is None]
    if absent:
        names, extras = (" and ".join(dict.fromkeys(words)) for words in zip(*absent, strict=True))
        verb = "is" if len(absent) == 1 else "are"
        raise MissingExtraError(
            f"{names} {verb} not installed.", f"pip install 'triptych[{extras.replace(' and ', ',')}]'"
        )
