import threading
import time

import numpy as np

from triptych.pipeline.memory import Peak


def test_a_passing_peak_is_seen_and_the_watch_ends():
    before = threading.active_count()
    with Peak() as calm:
        time.sleep(0.05)
    with Peak() as high:
        held = np.ones(30 * 2**20)  # 240 MiB, gone before the block ends
        time.sleep(0.1)
        del held
    assert 200 < high.mib - calm.mib < 400
    assert threading.active_count() == before


def test_the_watch_ends_with_an_error():
    before = threading.active_count()
    try:
        with Peak():
            raise ValueError
    except ValueError:
        pass
    assert threading.active_count() == before
