"""One thread is held while anyone is inside, and no longer."""

import threading

import numpy as np  # noqa: F401  loads the BLAS whose threads are counted
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from triptych.maths.threads import one_thread


def most_threads():
    return max(pool["num_threads"] for pool in threadpool_info())


def blas_threads():
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


@pytest.fixture(autouse=True)
def _two_threads():
    with threadpool_limits(2):
        yield


def test_limit_is_held_and_lifted():
    with one_thread():
        assert most_threads() == 1, threadpool_info()
        with one_thread():
            assert most_threads() == 1, threadpool_info()
        assert most_threads() == 1, threadpool_info()
    assert blas_threads() == 2


def test_limit_is_lifted_after_an_error():
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert blas_threads() == 2


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_whoever_leaves_last_lifts_the_limit(first_leaves_first):
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with one_thread():
            seen.append(most_threads())
            entered.set()
            leave.wait(5)
            seen.append(most_threads())

    thread = threading.Thread(target=other)
    if first_leaves_first:
        with one_thread():
            thread.start()
            entered.wait(5)
    else:
        thread.start()
        entered.wait(5)
        with one_thread():
            assert most_threads() == 1
    assert blas_threads() == 1
    leave.set()
    thread.join()
    assert seen == [1, 1]
    assert blas_threads() == 2
