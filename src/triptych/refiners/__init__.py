"""Refiners: labels and places → labels that agree better with their surroundings."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import Refiner
from triptych.core.registry import Registry

registry: Final = Registry("refiners", (Refiner,), {"majority": "triptych.refiners.majority:Majority"})
