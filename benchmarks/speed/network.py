"""Rows about the network: how fast it runs, how much of that a build and a query keep, and what its
input loses where JPEGs of cameras are decoded small."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.backbone import load_backbone
from tll_index.engine.backbones.registry import IN_FLOAT, spec_of
from tll_index.engine.backbones.runtime import TorchRuntime, load_runtime, pictures_a_pass
from tll_index.engine.images.decode import decode, from_image
from tll_index.indexer.ingest.build import Recipe, build
from tll_index.indexer.store.store import Store

from ..harness import Finding, NotMeasurableError, in_turn, seconds
from .workload import K, Workload, copied, photograph

RATIO, EQUAL = 2.5, 1e-3
KEPT = 0.85
SLOWER = 1.3


def model(workload: Workload) -> Finding:
    """The network through ONNX Runtime, and through eager torch in channels-last memory."""
    from tll_index.engine.backbones.network import load_network

    settings = replace(workload.settings, runtime="onnx", device="cpu")
    backbone = load_backbone(in_torch(workload.backbone), settings=settings)
    ours = load_runtime(backbone.spec, backbone.weights, settings)
    network = load_network(backbone.spec, backbone.weights.path)
    torch = TorchRuntime(network, "cpu", spec=backbone.spec)
    paths = workload.pictures.some(pictures_a_pass(workload.settings)).paths
    batch = squares(workload, paths)
    turns = in_turn(
        {"onnx": lambda _: ours.run(batch), "torch": lambda _: torch.run(batch)},
        workload.sizes.model_rounds,
    )
    found, wanted = ours.run(batch), torch.run(batch)
    difference = float(np.abs(found - wanted).max())
    relative = difference / max(1.0, float(np.abs(wanted).max()))
    rates = {name: len(batch) / median(taken) for name, taken in turns.items()}
    ratio = rates["onnx"] / rates["torch"]
    figures = {f"{name}_pictures_per_second": rate for name, rate in rates.items()}
    figures |= {"largest_difference": difference, "relative_difference": relative}
    return Finding(
        ratio,
        ratio >= RATIO and relative <= EQUAL,
        figures,
        f"{backbone.spec.name}, batches of {len(batch)} of {workload.pictures.name}, "
        f"{workload.sizes.model_rounds} rounds in turn, medians; the difference as a part of the "
        "largest feature",
    )


def in_torch(backbone: str) -> str:
    """The row that torch can run: in 8 bits it can't."""
    return backbone if spec_of(backbone).precision == "float32" else IN_FLOAT


def building(workload: Workload) -> Finding:
    """`build` from files to a store, between two runs of the network over the same pictures."""
    sizes, backbone = workload.sizes, workload.embedder.backbone
    folder, store = workload.scratch / "build", workload.scratch / "built"
    paths = copied(workload.pictures.some(sizes.build_pictures).paths, folder)
    pixels = squares(workload, paths)
    decoding = seconds(lambda: squares(workload, paths[:100])) / len(paths[:100])
    backbone.features(pixels[: pictures_a_pass(workload.settings)])  # warms up
    ratios, models, builds = [], [], []
    workload.progress.start("building", sizes.build_rounds, "rounds")
    for _ in range(sizes.build_rounds):
        before = seconds(lambda: run_all(workload, pixels))
        built = seconds(lambda: _build(workload, folder, store))
        after = seconds(lambda: run_all(workload, pixels))
        shutil.rmtree(store)
        models += [before, after]
        builds.append(built)
        ratios.append((before + after) / 2 / built)
        workload.progress.advance()
    shutil.rmtree(folder)
    ratio = median(ratios)
    return Finding(
        ratio,
        ratio >= KEPT,
        {
            "build_pictures_per_second": len(paths) / median(builds),
            "model_pictures_per_second": len(paths) / median(models),
            "decode_pictures_per_second_one_core": 1 / decoding,
            "each_round": ratios,
        },
        f"{len(paths):,} pictures of {workload.pictures.name}, each round: network, build of a "
        "new store (walking, decoding, network, lens, catalog, index), network",
    )


def warm_query(workload: Workload) -> Finding:
    """`Store.query` of a picture's file, and the network alone on the same picture."""
    sizes, backbone = workload.sizes, workload.embedder.backbone
    filled = workload.indexed(sizes.query_store)
    rounds = 5 * sizes.rounds
    paths = workload.pictures.some(sizes.rounds).paths
    pixels = [squares(workload, [path]) for path in paths]
    with Store.open(filled.path, settings=workload.settings) as store:
        turns = in_turn(
            {
                "query": lambda turn: store.query(paths[turn % len(paths)], K),
                "model": lambda turn: backbone.features(pixels[turn % len(paths)]),
            },
            rounds,
        )
    ratio = median(turns["query"]) / median(turns["model"])
    return Finding(
        ratio,
        ratio <= SLOWER,
        {f"{name}_seconds": median(taken) for name, taken in turns.items()},
        f"{rounds} queries with pictures of {workload.pictures.name} (reading, decoding, "
        f"network, lens, search, paths), {filled.count:,} vectors in the store; in turn, medians",
    )


def squares(workload: Workload, paths: list[Path] | tuple[Path, ...]) -> Pixels:
    """(n, size, size, 3) uint8: what the network sees of pictures."""
    geometry = workload.embedder.backbone.spec.geometry
    return np.stack([decode(path.read_bytes(), geometry).pixels for path in paths])


def run_all(workload: Workload, pixels: Pixels) -> None:
    """The network over all pixels, batch by batch."""
    step = pictures_a_pass(workload.settings)
    for at in range(0, len(pixels), step):
        workload.embedder.backbone.features(pixels[at : at + step])


def _build(workload: Workload, folder: Path, store: Path) -> None:
    recipe = Recipe(backbone=workload.backbone)
    report = build([folder], store=store, recipe=recipe, settings=workload.settings)
    if report.stopped:
        raise KeyboardInterrupt
    if report.skipped:
        raise NotMeasurableError(f"{len(report.skipped)} pictures can't be used")


# -- JPEGs of cameras -----------------------------------------------------------------------------

ALIKE = 0.999
SIZES = {12: (4000, 3000), 48: (8000, 6000)}
"""Megapixels -> width and height."""


def shrink(workload: Workload) -> Finding:
    """Vectors and times of photographs, as `decode` reads them and from all their pixels."""
    count = workload.sizes.photographs
    sources = workload.pictures.some(len(SIZES) * count).paths
    figures: dict[str, float] = {}
    cosines: list[float] = []
    workload.progress.start("photographs", len(SIZES) * count)
    for part, (megapixels, (width, height)) in enumerate(SIZES.items()):
        taken: dict[str, list[float]] = {"with": [], "without": []}
        alike = []
        for number, source in enumerate(sources[part::2]):
            data = photograph(source, width, height, number)
            for name, times in in_turn(
                {
                    "with": lambda _, data=data: small(workload, data),  # type: ignore[misc]
                    "without": lambda _, data=data: whole(workload, data),  # type: ignore[misc]
                },
                rounds=1,
            ).items():
                taken[name] += times
            pixels = np.stack([small(workload, data), whole(workload, data)])
            one, other = workload.embedder.lens.transform(
                workload.embedder.backbone.features(pixels)
            )
            alike.append(float(one @ other))
            workload.progress.advance()
        with_, without = median(taken["with"]), median(taken["without"])
        figures |= {
            f"cosine_{megapixels}_megapixels": float(np.mean(alike)),
            f"least_cosine_{megapixels}_megapixels": min(alike),
            f"seconds_{megapixels}_megapixels": with_,
            f"seconds_without_{megapixels}_megapixels": without,
            f"time_saved_{megapixels}_megapixels": 1 - with_ / without,
        }
        cosines += alike
    mean = float(np.mean(cosines))
    return Finding(
        mean,
        mean >= ALIKE,
        figures,
        f"{count} JPEGs each of 12 and 48 megapixels, {workload.pictures.name} enlarged with "
        "detail and grain added; cosine of the lens's vectors, on average; seconds of one core",
    )


def small(workload: Workload, data: bytes) -> Pixels:
    """What the tool makes of a file."""
    return decode(data, workload.embedder.backbone.spec.geometry).pixels


def whole(workload: Workload, data: bytes) -> Pixels:
    """The same from all the picture's pixels: an image that is loaded has nothing left to save."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return from_image(image, workload.embedder.backbone.spec.geometry).pixels
