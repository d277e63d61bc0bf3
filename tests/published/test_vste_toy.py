"""Codes of crops tell, on a section never seen, what counts and CellProfiler's features do not."""

import importlib.util
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "vste_toy.py"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_codes_beat_counts_on_arrangement_and_cellprofiler_on_texture():
    pytest.importorskip("cp_measure")
    spec = importlib.util.spec_from_file_location("vste_toy", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = {name: (arranged, textured) for name, _, arranged, textured, _ in benchmark.rows(1, 600)}
    assert found["counts"][0] == pytest.approx(1 / 3, abs=0.08)
    assert found["spot-vae"][0] > 0.9
    assert found["cellprofiler"][1] < 0.75  # whorls from slopes, but not from their mirror images
    assert found["stain-vae"][1] > found["cellprofiler"][1] + 0.08
