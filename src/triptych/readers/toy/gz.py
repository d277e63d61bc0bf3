"""Compressed text whose bytes depend on nothing but the text."""

from __future__ import annotations

import gzip
from pathlib import Path


def gzipped(path: Path, text: str) -> None:
    """Write compressed text without a time stamp."""
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
