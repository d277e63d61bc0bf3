from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from triptych import aligners
from triptych.core.errors import NameClashError, RecipeError, UnknownComponentError
from triptych.core.protocols import Aligner
from triptych.core.registry import Registry


@dataclass(frozen=True)
class Gain:
    """Multiply."""

    gain: float = 1.0
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = ""

    def __post_init__(self):
        if self.gain < 0:
            raise ValueError("gain must not be negative")

    def align(self, x, batch, rng):
        return x * self.gain


@dataclass(frozen=True)
class NoAligner:
    """It lacks the method."""


def plugged(monkeypatch, *points):
    monkeypatch.setattr(
        "triptych.core.registry.entry_points", lambda group: [p for p in points if p.group == group]
    )
    return Registry("aligners", (Aligner,), {"none": "triptych.aligners.none:Unaligned"})


def point(name, what="Gain"):
    import sys

    sys.modules.setdefault("gain_plugin", sys.modules[__name__])
    return EntryPoint(name, f"gain_plugin:{what}", "triptych.aligners")


def test_a_third_party_joins_by_entry_point(monkeypatch):
    registry = plugged(monkeypatch, point("gain"))
    assert list(registry) == ["gain", "none"]
    assert registry.make("gain", {"gain": 2}).align(3.0, None, None) == 6.0


def test_a_clash_of_names_is_an_error(monkeypatch):
    with pytest.raises(
        NameClashError, match=r"Two aligners are called none: .*Unaligned and gain_plugin:Gain"
    ):
        list(plugged(monkeypatch, point("none")))


def test_what_is_no_aligner_is_refused(monkeypatch):
    with pytest.raises(RecipeError, match="is no Aligner"):
        plugged(monkeypatch, point("odd", "NoAligner")).make("odd")


def test_nearest_spelling_of_a_component():
    with pytest.raises(
        UnknownComponentError, match=r"no harmonny among the aligners. Did you mean harmony\?"
    ):
        aligners.registry.make("harmonny")


def test_nearest_spelling_of_a_parameter():
    with pytest.raises(UnknownComponentError, match=r"harmony has no parameter teta. Did you mean theta\?"):
        aligners.registry.make("harmony", {"teta": 1})


def test_values_are_validated(monkeypatch):
    registry = plugged(monkeypatch, point("gain"))
    with pytest.raises(RecipeError, match="gain must not be negative"):
        registry.make("gain", {"gain": -1})
    with pytest.raises(RecipeError, match=r"gain: Input should be a valid number.*got 'much'"):
        registry.make("gain", {"gain": "much"})
