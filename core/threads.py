"""Fewer threads where more are slower: NumPy's products, FAISS's single queries."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_restore: Callable[[], None] | None = None
_began_calm = False

_NUMBER = "OPENBLAS_NUM_THREADS"
_NUMBERS = (_NUMBER, "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
"""Environment variables in which OpenBLAS looks for its number of threads, when it is loaded."""


def begin_calm() -> None:
    """Load NumPy with an OpenBLAS of one thread: for a process whose own products are small, such
    as a single query's. Starting a thread for each core takes longer than they do.

    Where NumPy is loaded already, or somebody has said how many threads there are to be, this does
    nothing. What the process starts has the environment that it had.
    """
    global _began_calm
    if "numpy" in sys.modules or any(name in os.environ for name in _NUMBERS):
        return
    os.environ[_NUMBER] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_NUMBER]
    _began_calm = True


@contextmanager
def calm_blas() -> Iterator[None]:
    """Keep OpenBLAS, which NumPy's products run on, to one thread; the last to leave takes that
    back, whichever threads came in.

    Its threads wait for the next product in a busy loop. Where decoders or FAISS have the cores, a
    product or a search takes twenty times as long for that, and on free ones it gains little. An
    OpenBLAS on OpenMP, such as FAISS's own, is left alone: its number is each thread's, not the
    process's, so another thread could not take it back.
    """
    global _inside, _restore
    if _began_calm:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _restore = _libraries().limit(limits=1).restore_original_limits
            _let_go()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _restore is not None:
                _restore()
                _let_go()


def _let_go() -> None:
    """Let any thread set the number next: since threadpoolctl 3.7 a thread that has set it is the
    only one that can, for as long as it lives."""
    for library in _libraries().lib_controllers:
        if clear := getattr(library, "clear_controlling_thread", None):
            clear()


@contextmanager
def one_faiss_thread() -> Iterator[None]:
    """For what this thread does inside: exact search for a single query takes three times as long
    on two cores as on one."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@cache
def _libraries() -> Any:
    """Those that are loaded by now; finding them takes a few milliseconds."""
    import numpy  # noqa: F401  (which loads its own)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(threading_layer="pthreads")
