"""What the environment decides: where the cache lies, and on what networks run."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "TRIPTYCH_CACHE_DIR"
DEVICE_VARIABLE = "TRIPTYCH_DEVICE"


def cache_dir() -> Path:
    """The folder named by ``TRIPTYCH_CACHE_DIR``, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("triptych")


def device() -> str:
    """The device of pretrained encoders, as torch names it: ``TRIPTYCH_DEVICE``, else ``cpu``."""
    return os.environ.get(DEVICE_VARIABLE, "cpu")
