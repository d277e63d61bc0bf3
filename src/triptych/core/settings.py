"""What the environment decides: where the cache lies."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "TRIPTYCH_CACHE_DIR"


def cache_dir() -> Path:
    """The folder named by ``TRIPTYCH_CACHE_DIR``, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("triptych")
