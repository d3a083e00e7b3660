"""One thread for NumPy's products, by whoever asks, and all of them again at the end."""

from __future__ import annotations

import threading

import faiss
from threadpoolctl import threadpool_info

from tll_index.core.threads import calm_blas, one_faiss_thread


def threads() -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["internal_api"] == "openblas"]


def test_the_last_to_leave_takes_it_back() -> None:
    with calm_blas():  # finds the libraries
        pass
    before = threads()
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with calm_blas():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with calm_blas():
        thread.start()
        assert entered.wait(60)
        assert set(threads()) <= {1}
    assert set(threads()) <= {1}  # the other is still inside
    leave.set()
    thread.join()
    assert threads() == before


def test_faiss_gets_its_threads_back() -> None:
    before = faiss.omp_get_max_threads()
    with one_faiss_thread():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before
