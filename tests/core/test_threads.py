"""One thread for NumPy's products, by whoever asks, and all of them again at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import faiss
import pytest

import blas
from blas import run_on_two
from tll_index.core.threads import calm_blas, one_faiss_thread

SCRIPT = """
import sys, threading
import faiss, numpy, scipy.linalg
from blas import threads
from tll_index.core.threads import calm_blas

before = threads()
assert before and set(before) == {2}, before
entered, leave = threading.Event(), threading.Event()

def other():
    with calm_blas():
        entered.set()
        leave.wait()

thread = threading.Thread(target=other)
with calm_blas():
    thread.start()
    entered.wait()
    assert set(threads()) == {1}, threads()
    if sys.argv[1] == "this thread":
        leave.set()
        thread.join()
        assert set(threads()) == {1}, threads()
if sys.argv[1] == "another thread":
    assert set(threads()) == {1}, threads()  # the other is still inside
    leave.set()
    thread.join()
assert threads() == before, threads()
"""


@pytest.mark.parametrize("last", ["another thread", "this thread"])
def test_the_last_to_leave_takes_it_back(last: str) -> None:
    run_on_two(SCRIPT, last)


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


CALM = """
import os, sys
if "before" in sys.argv:
    import numpy
from tll_index.core.threads import begin_calm, calm_blas
environ = dict(os.environ)
begin_calm()
assert "numpy" in sys.modules or "said" in sys.argv
assert dict(os.environ) == environ
with calm_blas():
    loaded = "threadpoolctl" in sys.modules
import numpy
from blas import threads
print(*threads(), "calmed" if loaded else "calm")
"""


@pytest.mark.parametrize(
    "arguments, variables, wanted",
    [
        ([], {}, "1 calm"),
        (["said"], {"OPENBLAS_NUM_THREADS": "2"}, "2 calmed"),
        (["said"], {"OMP_NUM_THREADS": "2"}, "2 calmed"),
        (["before"], {"OPENBLAS_NUM_THREADS": "2"}, "2 calmed"),
    ],
)
def test_openblas_begins_with_one_thread_where_nobody_said_otherwise(
    arguments: list[str], variables: dict[str, str], wanted: str
) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(blas.__file__).parent)}
    del environ["OPENBLAS_NUM_THREADS"]  # of the tests
    ended = subprocess.run(
        [sys.executable, "-c", CALM, *arguments],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == wanted
