"""How fast a store is built and asked, next to what the backbone alone could do.

    python -m benchmarks.build_and_query [--pictures N]

Uses TLL pictures from TLL_ROOT where they are, otherwise the gallery of `make run`. Everything is
measured in one run on one machine: compare the ratios, not the absolute figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tll_index import Store, build, load_backbone
from tll_index.engine.decode import decode

from .machine import RESULTS, ROOT, machine, tll_root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=1000, help="how many (default 1000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        source = copy_pictures(folder, arguments.pictures)
        result = {"machine": machine(), "pictures": source, **measure(folder, Path(scratch))}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "build_and_query.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    print(f"wrote {path}")


def copy_pictures(folder: Path, count: int) -> dict[str, Any]:
    """Put up to `count` pictures into `folder`; says which they are."""
    found = sorted(tll_root().glob("t*/*/*.jpg"))
    name = "TLL"
    if not found:
        name = "gallery"
        subprocess.run([sys.executable, ROOT / "examples/gallery", folder / "g"], check=True)
        return {"from": name, "count": len(list(folder.rglob("*.*")))}
    folder.mkdir()
    chosen = found[:: max(1, len(found) // count)][:count]
    for number, path in enumerate(chosen):
        shutil.copy(path, folder / f"{number:06}.jpg")
    return {"from": name, "count": len(chosen)}


def measure(folder: Path, scratch: Path) -> dict[str, float]:
    """Every figure, in seconds or pictures a second."""
    paths = sorted(path for path in folder.rglob("*.*") if path.is_file())
    backbone = load_backbone()
    geometry = backbone.spec.geometry
    data = [path.read_bytes() for path in paths]
    started = time.perf_counter()
    pixels = np.stack([decode(one, geometry).pixels for one in data])
    decoding = len(paths) / (time.perf_counter() - started)
    backbone.features(pixels[:32])  # warm up
    started = time.perf_counter()
    for first in range(0, len(pixels), 32):
        backbone.features(pixels[first : first + 32])
    model = len(paths) / (time.perf_counter() - started)

    store = scratch / "store"
    started = time.perf_counter()
    report = build([folder], store=store)
    building = report.embedded / (time.perf_counter() - started)
    nothing = seconds(lambda: build([folder], store=store), 5)
    with Store.open(store) as opened:
        opened.query(paths[0])
        warm = seconds(lambda: opened.query(paths[0]), 20)
    alone = seconds(lambda: backbone.features(pixels[:1]), 20)
    tool = [sys.executable, "-m", "tll_index.cli"]
    cold = seconds(lambda: run([*tool, "query", str(paths[0]), "--store", str(store)]), 3)
    return {
        "decode_per_second_one_core": decoding,
        "model_only_per_second": model,
        "build_per_second": building,
        "build_to_model": building / model,
        "build_nothing_to_do_seconds": nothing,
        "query_warm_seconds": warm,
        "query_warm_to_model": warm / alone,
        "query_cold_seconds": cold,
        "help_seconds": seconds(lambda: run([*tool, "--help"]), 5),
    }


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work`."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [
        f"{key:<30} {value:>10.3f}" for key, value in result.items() if isinstance(value, float)
    ]
    source = result["pictures"]
    return "\n".join([f"{source['count']} pictures of {source['from']}", *rows])


if __name__ == "__main__":
    main()
