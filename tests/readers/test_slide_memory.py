"""The memory that a slide takes does not grow with it: a process of its own for each of two sizes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

TILE = 256
CACHE_MIB = 8
CHILD = f"""
import json, resource, sys, warnings
import numpy as np
from triptych.encoders.images.stain_texture import StainTexture
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.windowing import windows_view
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.tiles import mosaic
warnings.simplefilter("ignore")
mosaic.KEPT_BYTES = {CACHE_MIB} * 2**20  # what is kept is bounded; here so that either slide would fill it
table = read(sys.argv[1], ReadOptions(pitch_um=240.0))
encoder = StainTexture(window_um=30.0, mpp=1.0)
view = windows_view(encoder, Study(table).pixels(STUDY), None, np.random.default_rng(0))
assert np.isfinite(view).all() and len(view) == table.n_obs
print(json.dumps([table.n_obs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def write(path, side):
    """A slide of a few distinct tiles without a pyramid, a third of it ground; encoded once, never held."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:TILE, :TILE]
    soft = np.stack([160 + 40 * np.sin(x / 20 + k) * np.cos(y / (15 + k)) for k in range(3)], axis=-1)
    tiles = [np.full((TILE, TILE, 3), 245, np.uint8), *(np.uint8(soft + add) for add in (0, 10, 20))]
    number = side // TILE
    kinds = np.where(np.arange(number) < number // 3, 0, rng.integers(1, 4, (number, number)))
    tifffile.imwrite(
        path, (tiles[kind] for kind in kinds.ravel()), shape=(side, side, 3), dtype=np.uint8,
        tile=(TILE, TILE), photometric="rgb", compression="zlib", compressionargs={"level": 1},
        resolution=(10_000.0, 10_000.0), resolutionunit="CENTIMETER",
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="the module resource is of Unix")
def test_memory_does_not_grow_with_the_slide(tmp_path):
    found = {}
    for side in (8 * TILE, 32 * TILE):  # 12 and 192 MiB of pixels
        path = tmp_path / f"{side}.tif"
        write(path, side)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True
        )
        found[side] = json.loads(done.stdout)
    (few, small), (many, large) = found.values()
    assert many > 10 * few
    assert large - small < 40
