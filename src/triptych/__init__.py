"""Three views of one tissue: genes, image, place; aligned, fused, and scored honestly.

>>> import triptych as tp                                   # doctest: +SKIP
>>> table = tp.read("her2st", samples=["B1", "C1"])         # doctest: +SKIP
>>> tp.run("smooth-gaussian", table, out="out")             # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.pipeline.recipe import load as load_recipe
    from triptych.runs import How, apply, read, run
    from triptych.studies.compare import compare
    from triptych.studies.loading import load_design as load_study
    from triptych.verbs import (
        align,
        analyse,
        annotate,
        cluster,
        deconvolve,
        encode,
        fuse,
        predict,
        refine,
        register,
        score,
        segment,
    )

__version__ = version("triptych")
__all__ = [
    "How", "align", "analyse", "annotate", "apply", "cluster", "compare", "deconvolve", "encode", "fuse",
    "load_recipe", "load_study", "predict", "read", "refine", "register", "run", "score", "segment",
]  # fmt: skip

_HOME = {
    **dict.fromkeys(
        (
            "encode",
            "align",
            "fuse",
            "cluster",
            "refine",
            "deconvolve",
            "predict",
            "register",
            "annotate",
            "segment",
            "score",
            "analyse",
        ),
        ("triptych.verbs", ""),
    ),
    **dict.fromkeys(("read", "run", "apply", "How"), ("triptych.runs", "")),
    "load_recipe": ("triptych.pipeline.recipe", "load"),
    "compare": ("triptych.studies.compare", ""),
    "load_study": ("triptych.studies.loading", "load_design"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that ``import triptych`` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'triptych' has no attribute '{name}'")
    module, own = _HOME[name]
    return getattr(import_module(module), own or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
