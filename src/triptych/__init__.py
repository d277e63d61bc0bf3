"""Three views of one tissue: genes, image, place; aligned, fused, and scored honestly."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("triptych")
