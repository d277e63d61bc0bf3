"""A toy study in the cache: written once, beside its final place, and renamed when it is whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from triptych.core.errors import CacheError
from triptych.core.settings import CACHE_VARIABLE, cache_dir


def cached(word: str, parameters: list[Any], write: Callable[[Path], None]) -> Path:
    """The folder of a study; written when it is not there yet.

    Parameters
    ----------
    word
        What the study is called; names the folder of all its variants.
    parameters
        What its files depend on, as JSON can hold it.
    write
        Fills an empty folder.

    Raises
    ------
    CacheError
        When the cache cannot be written.
    """
    home = cache_dir() / word
    final = home / hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:16]
    if final.is_dir():
        return final
    try:
        home.mkdir(parents=True, exist_ok=True)
        _write(final, write)
    except OSError as error:
        raise CacheError(
            f"The toy study cannot be written to {home}: {error.strerror or error}.",
            f"Name a writable folder in {CACHE_VARIABLE}.",
        ) from error
    return final


def _write(final: Path, write: Callable[[Path], None]) -> None:
    """Write beside the final place and rename, so that no one meets half a study."""
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=final.parent))
    try:
        write(draft)
        try:
            draft.chmod(0o755)  # mkdtemp keeps others out
            draft.replace(final)
        except OSError:
            if not final.is_dir():  # another process was not faster: the fault is real
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
