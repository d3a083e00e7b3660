"""The threads of NumPy's products, in a process of its own: those of the tests have one anyway."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from threadpoolctl import threadpool_info


def threads() -> list[int]:
    """How many each OpenBLAS of NumPy and SciPy has; FAISS's own has threads of OpenMP."""
    found = [one for one in threadpool_info() if one["internal_api"] == "openblas"]
    return [one["num_threads"] for one in found if one["threading_layer"] == "pthreads"]


def run_on_two(script: str, *arguments: str) -> None:
    """Run a script where each OpenBLAS has two threads, and this module can be imported.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": path}
    command = [sys.executable, "-c", script, *arguments]
    subprocess.run(command, env=environment, check=True, timeout=300)
