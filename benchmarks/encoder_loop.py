"""Images per second from a file to the view, beside those of the bare model on the same batches in memory.

    OMP_NUM_THREADS=2 python benchmarks/encoder_loop.py --encoder dinov2 --windows 96 --repeats 5
    python benchmarks/encoder_loop.py --encoder stain-texture --windows 20000
    python benchmarks/encoder_loop.py --encoder dinov2 --device cuda --windows 20000

The slide is a tiled OME-TIFF in JPEG with levels, written for the purpose; the windows are 32 px around
random cells. dinov2 has random weights, of its small size unless told otherwise, and gets 224 px. Both are
timed in turns; the ratio is the median of those of the pairs. That of processor time counts what reading
takes on whichever core; on a machine that others use it is the one to trust.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import zoom

from triptych.core.settings import DEVICE_VARIABLE, device
from triptych.encoders.images.dinov2 import SIZES, Dinov2
from triptych.encoders.images.stain_texture import StainTexture
from triptych.pipeline.pixels import Pixels
from triptych.pipeline.windowing import BATCH, loaded, windows_view
from triptych.tiles.slide import open_slide
from triptych.tiles.windows import Windows, stream

MPP = 0.5
SIDE_PX = 32
TILE = 512


def write_slide(path: Path, side_px: int) -> None:
    """Something smooth with grain, so that decoding costs what it does for tissue."""
    rng = np.random.default_rng(0)
    coarse = zoom(
        rng.integers(90, 255, (64, 64, 3)).astype(np.uint8), (side_px // 64, side_px // 64, 1), order=1
    )
    pixels = np.clip(coarse + rng.integers(-8, 8, coarse.shape, dtype=np.int16), 0, 255).astype(np.uint8)
    options = {"tile": (TILE, TILE), "photometric": "rgb", "compression": "jpeg"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(pixels, subifds=2, **options)
        for step in (2, 4):
            writer.write(np.ascontiguousarray(pixels[::step, ::step]), subfiletype=1, **options)


def write_weights(folder: Path, size: str) -> None:
    from transformers import Dinov2Config, Dinov2Model

    Dinov2Model(Dinov2Config(**SIZES[size]._asdict(), image_size=518)).save_pretrained(folder)


def made(options: argparse.Namespace, folder: Path):
    if options.encoder == "stain-texture":
        return StainTexture(window_um=SIDE_PX * MPP, mpp=MPP)
    write_weights(folder, options.size)
    return Dinov2(weights=str(folder), window_px=SIDE_PX, size=options.size)


def timed(function, *given) -> np.ndarray:
    """Seconds that passed, and that processors worked."""
    start = np.array([time.perf_counter(), time.process_time()])
    function(*given)
    return np.array([time.perf_counter(), time.process_time()]) - start


def bare(encode, batches) -> None:
    for pixels in batches:
        encode(pixels)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", choices=["dinov2", "stain-texture"], default="dinov2")
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--windows", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--slide", type=int, default=8192, help="side of the slide in px")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ[DEVICE_VARIABLE] = options.device
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "slide.ome.tif"
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # its memory is not that of the loop
            apart.submit(write_slide, image, options.slide).result()
        compare(options, image, made(options, Path(folder) / "weights"))


def compare(options: argparse.Namespace, image: Path, encoder) -> None:
    n = options.windows
    centres = np.random.default_rng(1).uniform(SIDE_PX, options.slide - SIDE_PX, (n, 2))
    section = Pixels(str(image), centres, MPP, np.arange(n))
    encode, rng = loaded(encoder, device()), np.random.default_rng(0)
    before = peak_mib()
    windows_view(encoder, [section], None, rng)  # and warms up
    print(f"peak memory {peak_mib():.0f} MiB, {peak_mib() - before:.0f} of them in the loop")
    windows = Windows(centres, float(SIDE_PX), encoder.tile_px)
    batches = [pixels for _, pixels in stream(open_slide(str(image)), windows, BATCH)]
    ratios = []
    for _ in range(options.repeats):
        alone, loop = timed(bare, encode, batches), timed(windows_view, encoder, [section], None, rng)
        ratios.append(alone / loop)
        print(f"bare {n / alone[0]:.1f} a second, loop {n / loop[0]:.1f}", flush=True)
    rate, work = 100 * np.median(ratios, axis=0)
    print(f"{options.encoder} on {options.device}: {rate:.1f} % of the bare model's images per second")
    print(f"were no core free for reading ahead (by processor time): {work:.1f} %")


if __name__ == "__main__":
    main()
