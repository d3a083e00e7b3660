"""One thread for NumPy's products, by whoever asks, and all of them again at the end."""

from __future__ import annotations

import threading

import faiss
import pytest
from threadpoolctl import threadpool_info

from tll_index.core.threads import calm_blas, one_faiss_thread


def threads() -> list[int]:
    """Of NumPy's and SciPy's OpenBLAS; FAISS's own has OpenMP's threads."""
    found = [one for one in threadpool_info() if one["internal_api"] == "openblas"]
    return [one["num_threads"] for one in found if one["threading_layer"] == "pthreads"]


@pytest.mark.parametrize("last", ["another thread", "this thread"])
def test_the_last_to_leave_takes_it_back(last: str) -> None:
    with calm_blas():  # finds the libraries
        assert set(threads()) == {1}
    before = threads()
    if set(before) == {1}:
        pytest.skip("on one core NumPy has one thread anyway")
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with calm_blas():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with calm_blas():
        thread.start()
        assert entered.wait(60)
        assert set(threads()) == {1}
        if last == "this thread":
            leave.set()
            thread.join()
            assert set(threads()) == {1}
    if last == "another thread":
        assert set(threads()) == {1}  # the other is still inside
        leave.set()
        thread.join()
    assert threads() == before


def test_threads_of_faiss_are_not_touched() -> None:
    before = faiss.omp_get_max_threads()
    with calm_blas():
        assert faiss.omp_get_max_threads() == before
    assert faiss.omp_get_max_threads() == before


def test_faiss_gets_its_threads_back() -> None:
    before = faiss.omp_get_max_threads()
    with one_faiss_thread():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before
