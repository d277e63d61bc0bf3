"""The page in Chromium: every image is painted, nothing is refused, nothing is wider than the window."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triptych.report import write_report
from triptych.report.write import POLICY

CHROMIUM = shutil.which("chromium") or ""
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr",
]  # fmt: skip
PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images];
  parent.document.title = [images.length, images.filter(i => i.complete && i.naturalWidth > 0).length,
    document.documentElement.scrollWidth, innerWidth].join(" ");
});</script>"""

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]


def browse(page: Path, width: int, *more: str) -> subprocess.CompletedProcess[str]:
    own = [f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},3000"]
    return subprocess.run(
        [CHROMIUM, *QUIET, *own, *more, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.parametrize("width", [400, 1280])
def test_no_image_is_broken_and_the_page_scrolls_only_down(study, tmp_path, width):
    text = write_report(*study, tmp_path / "out").read_text()
    allowed = policy() + "; script-src &#x27;unsafe-inline&#x27;"  # for the one script that is the test's own
    inner = escape(text.replace(policy(), allowed) + PROBE)
    probed = tmp_path / "probed.html"  # a window of Chromium is never narrower than 500, a frame may be
    probed.write_text(f'<iframe width="{width}" height="900" style="border:0" srcdoc="{inner}"></iframe>')
    told = re.search(r"<title>([\d ]+)</title>", browse(probed, 1400, "--dump-dom").stdout)
    images, painted, wide, window = map(int, told.group(1).split())
    assert images == painted == text.count("<img")
    assert wide <= window == width


@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_the_page_follows_the_colour_scheme_and_is_refused_nothing(study, tmp_path, scheme, dark):
    page, picture = write_report(*study, tmp_path / "out"), tmp_path / "shot.png"
    run = browse(page, 1280, f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={scheme}")
    assert "Content Security Policy" not in run.stderr
    with Image.open(picture) as image:
        seen = np.asarray(image.convert("L"))
    assert (np.median(seen) < 60) == dark


def policy() -> str:
    return POLICY.replace("'", "&#x27;")
