"""Seconds and peak memory of abundance from images: `mlp` on embeddings beside `graph-transformer-pixels`.

    OMP_NUM_THREADS=2 python benchmarks/abundance_cost.py --data DATA/her2st --samples C2,C3 --epochs 2

Both learn the abundances that came with the sections from the same patches, each in a process of its own on
this machine. The first embeds the patches with an encoder (`--encoder`; stain-texture sees the same tissue at
1 µm per pixel) and trains its whole ensemble, early stopping and intervals included. The second trains one
network from pixels, as many epochs as told, without inner folds; cost per epoch × `--whole` epochs is printed
beside it and labelled as what it is, an extrapolation. Seconds are those of the processor, summed over
threads, which other processes on the machine hardly change; seconds by the clock stand in brackets. Memory is
the resident set: the largest of the whole process (to which decoding a section whole adds for both), and the
largest while training. `--only` runs one of the two.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import psutil


class Clock:
    """Seconds of the processor and by the clock since it was made, and the largest resident set meanwhile."""

    def __init__(self) -> None:
        self.done, self.largest = threading.Event(), 0
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        self.processor, self.wall = time.process_time(), time.perf_counter()

    def _look(self) -> None:
        while not self.done.wait(0.02):
            self.largest = max(self.largest, psutil.Process().memory_info().rss)

    def read(self, name: str) -> dict[str, float]:
        processor, wall = time.process_time() - self.processor, time.perf_counter() - self.wall
        self.done.set()
        self.thread.join()
        return {f"{name}_s": processor, f"{name}_wall_s": wall, f"{name}_mib": self.largest / 2**20}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def windows(table, window_um: float, tile_px: int) -> np.ndarray:
    """Patches of all spots in their order, shape (n, tile_px, tile_px, 3)."""
    from triptych.tiles.slide import open_slide
    from triptych.tiles.windows import Windows, stream

    about, out = table.uns["triptych"]["samples"], np.empty((table.n_obs, tile_px, tile_px, 3), np.uint8)
    for name, section in about.iterrows():
        rows = np.flatnonzero(table.obs["sample"] == name)
        wanted = Windows(table.obsm["spatial"][rows], window_um / section["mpp"], tile_px)
        for some, pixels in stream(open_slide(section["image"], section["image_scale"]), wanted, 64):
            out[rows[some]] = pixels
    return out


def study(given: argparse.Namespace):
    """Table, what is to be learned, and where."""
    import triptych
    from triptych.core.abundance import Abundance
    from triptych.core.protocols import Places

    table = triptych.read(given.data, samples=given.samples.split(","))
    frame, codes = table.obsm["abundance"], table.obs["sample"].astype("category").cat.codes.to_numpy(int)
    places = Places(np.asarray(table.obsm["spatial_um"], float), codes)
    return table, Abundance(frame.to_numpy(float), tuple(map(str, frame.columns))), places


def embedded(given: argparse.Namespace) -> dict[str, float]:
    """Embed, then fit `mlp`."""
    from triptych.encoders import registry as encoders
    from triptych.predictors import registry

    table, target, places = study(given)
    read = peak_mib()
    encoder = encoders.make(given.encoder, {"window_um": given.window_um})
    clock = Clock()
    pixels = windows(table, given.window_um, encoder.tile_px)
    encode = encoder.load("cpu")
    view = np.concatenate([encode(pixels[at : at + 64]) for at in range(0, len(pixels), 64)])
    found = clock.read("before")
    clock = Clock()
    registry.make("mlp").fit({"image": view}, target, places, places.sample, np.random.default_rng(0))
    found |= clock.read("fit")
    return {**found, "read_mib": read, "peak_mib": peak_mib()}


def end_to_end(given: argparse.Namespace) -> dict[str, float]:
    """Train one network from pixels."""
    from triptych.predictors.graph_transformer_cross import Task
    from triptych.predictors.graph_transformer_pixels import GraphTransformerPixels
    from triptych.predictors.graph_transformer_windows import Kept, Lessons

    table, target, places = study(given)
    read = peak_mib()
    component = GraphTransformerPixels(
        window_um=given.window_um, tile_px=given.tile_px, epochs=given.epochs, batch=given.batch
    )
    clock = Clock()
    source = Kept(windows(table, given.window_um, given.tile_px))
    found = clock.read("before")
    lessons = Lessons(component, source, target, places, np.random.default_rng(0))
    rows = np.flatnonzero(np.isfinite(target.values).all(axis=1))[: given.spots]
    clock = Clock()
    lessons.teach(Task(rows, rows[:0], given.epochs, (), "pixels"))
    found |= clock.read("fit")
    return {**found, "read_mib": read, "peak_mib": peak_mib(), "spots": len(rows)}


WAYS = {"embedded": embedded, "end-to-end": end_to_end}


def alone(way: str, words: list[str]) -> dict[str, float]:
    """One way in a process of its own."""
    command = [sys.executable, __file__, *words, "--way", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, required=True)
    words.add_argument("--samples", default="C2,C3")
    words.add_argument("--tile-px", type=int, default=112)
    words.add_argument("--window-um", type=float, default=112.0)
    words.add_argument("--epochs", type=int, default=2, help="that are measured")
    words.add_argument("--whole", type=int, default=20, help="epochs of a whole training")
    words.add_argument("--batch", type=int, default=32)
    words.add_argument("--encoder", default="stain-texture")
    words.add_argument("--spots", type=int, help="from pixels: learn from the first ones only")
    words.add_argument("--only", choices=WAYS)
    words.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.way:
        warnings.simplefilter("ignore")
        print(json.dumps(WAYS[given.way](given)))
        return
    ways = [given.only] if given.only else list(WAYS)
    found = {way: alone(way, sys.argv[1:]) for way in ways}
    for way, one in found.items():
        told = ", ".join(f"{name} {value:.1f}" for name, value in one.items())
        print(f"{way}: {told}", flush=True)
    if not (given.only or given.spots):  # fewer spots are no comparison
        compared(found["embedded"], found["end-to-end"], given)


def compared(first: dict[str, float], second: dict[str, float], given: argparse.Namespace) -> None:
    """A table, and ratios: measured ones, and one that is extrapolated."""
    epoch = second["fit_s"] / given.epochs
    lean, whole = first["before_s"] + first["fit_s"], second["before_s"] + epoch * given.whole
    both = (first, second)
    rows = [
        ("cutting, embedding", *(f"{one['before_s']:.1f} s ({one['before_wall_s']:.1f})" for one in both)),
        ("training", *(f"{one['fit_s']:.1f} s ({one['fit_wall_s']:.1f})" for one in both)),
        ("of it one epoch", "", f"{epoch:.1f} s"),
        (f"whole; pixels EXTRAPOLATED to {given.whole} epochs", f"{lean:.1f} s", f"{whole:.0f} s"),
        ("peak memory of the process", *(f"{one['peak_mib']:.0f} MiB" for one in both)),
        ("largest while cutting, embedding", *(f"{one['before_mib']:.0f} MiB" for one in both)),
        ("largest while training", *(f"{one['fit_mib']:.0f} MiB" for one in both)),
        ("after reading", *(f"{one['read_mib']:.0f} MiB" for one in both)),
    ]  # fmt: skip
    print(f"{second['spots']:.0f} spots, windows of {given.window_um:g} µm as {given.tile_px} px")
    print(f"| | mlp on {given.encoder} | graph-transformer-pixels |\n|---|---|---|")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    above = [max(one["fit_mib"] - one["read_mib"], 1) for one in both]
    ratio, more = second["peak_mib"] / first["peak_mib"], above[1] / above[0]
    print(f"measured: one epoch from pixels takes {epoch / lean:.1f} × all of the other way")
    print(f"EXTRAPOLATED to {given.whole} epochs of one network: {whole / lean:.0f} × the time")
    print(f"measured: {ratio:.1f} × the peak memory, {more:.1f} × what training adds to reading")


if __name__ == "__main__":
    main()
