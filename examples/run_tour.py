"""Run the notebook of the tour from top to bottom and keep its outputs in it: `make tour`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbclient
import nbformat

NOTEBOOK = Path(__file__).resolve().parent / "tour.ipynb"
TIMEOUT = 1500
"""Seconds for a cell; the first search may have to export the network."""


def executed(folder: str | Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run whose current folder is `folder`."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,  # times would differ from run to run
        resources={"metadata": {"path": str(folder)}},
    ).execute(env={**os.environ, "PYTHONWARNINGS": "ignore"})  # their texts have paths
    notebook.metadata["language_info"] = {"name": "python"}  # and not of which version
    return notebook


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(folder)
    nbformat.write(notebook, NOTEBOOK)
    print(f"wrote {NOTEBOOK}, {NOTEBOOK.stat().st_size >> 10} KB")


if __name__ == "__main__":
    main()
