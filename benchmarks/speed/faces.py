"""The row about faces: what finding and describing them takes of a core for each picture, and how
much memory a process needs for it more than for the pictures alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.cpu_runtime import MANY, CpuRuntime
from tll_index.engine.faces.alignment import chip
from tll_index.engine.faces.detector import face_detector
from tll_index.engine.faces.networks import RECOGNITION

from ..harness import Finding, NotMeasurableError
from ..processes import apart
from .workload import Workload

MILLISECONDS = 2.5
_ROUNDS = 3


def cost(workload: Workload) -> Finding:
    """Milliseconds of a core for each picture, those without a face among them."""
    count = workload.sizes.build_pictures
    paths = [str(path) for path in workload.pictures.some(count).paths]
    measured = apart("speed.faces:found", paths=paths)
    finding = apart("speed.faces:only_found", paths=paths)
    opened = apart("speed.faces:only_opened", paths=paths)
    figures = dict(measured.result)
    figures["finding_memory_bytes"] = finding.peaks.anonymous - opened.peaks.anonymous
    figures["memory_bytes"] = measured.peaks.anonymous - opened.peaks.anonymous
    if not figures["faces"]:
        raise NotMeasurableError("none of the pictures shows a face")
    spent = figures["milliseconds"]
    return Finding(
        spent,
        spent <= MILLISECONDS,
        figures,
        f"{len(paths):,} pictures of {workload.pictures.name}: faces are found one by one on a "
        f"thread, the one that counts is described in batches of {MANY} by OpenVINO on all cores; "
        f"time of cores, medians of {_ROUNDS} rounds; memory beyond that of opening the pictures",
    )


def found(paths: Sequence[str]) -> dict[str, Any]:
    """What a process took for it. Milliseconds of a core, for each picture or each face."""
    images = [_opened(path) for path in paths]
    detector, runtime = face_detector(), CpuRuntime(RECOGNITION)
    faces = [detector.find(image)[:1] for image in images]
    chips = [chip(image, face.points) for image, (face,) in _with_faces(images, faces)]
    if not chips:
        return {"faces": 0}
    while len(chips) % MANY:
        chips.append(chips[0])
    runtime.run(np.stack(chips[:MANY]))  # warms up
    taken: dict[str, list[float]] = {"find": [], "cut": [], "describe": [], "describe_alone": []}
    for _ in range(_ROUNDS):
        began = time.process_time()
        for image in images:
            detector.find(image)
        taken["find"].append((time.process_time() - began) / len(images))
        began, cut = time.process_time(), _with_faces(images, faces)
        for image, (face,) in cut:
            chip(image, face.points)
        taken["cut"].append((time.process_time() - began) / len(cut))
        began = time.process_time()
        for at in range(0, len(chips), MANY):
            runtime.run(np.stack(chips[at : at + MANY]))
        taken["describe"].append((time.process_time() - began) / len(chips))
        began = time.process_time()
        for one in chips[:MANY]:
            runtime.run(one[None])
        taken["describe_alone"].append((time.process_time() - began) / MANY)
    spent = {name: 1000 * median(times) for name, times in taken.items()}
    share = sum(map(bool, faces)) / len(images)
    return {
        "faces": sum(map(bool, faces)),
        "pictures": len(images),
        "milliseconds": spent["find"] + share * (spent["cut"] + spent["describe"]),
        "find_milliseconds_a_picture": spent["find"],
        "cut_milliseconds_a_face": spent["cut"],
        "describe_milliseconds_a_face": spent["describe"],
        "describe_milliseconds_of_one_alone": spent["describe_alone"],
    }


def only_found(paths: Sequence[str]) -> dict[str, Any]:
    """Faces are found and cut, as a decoder process does it."""
    images = [_opened(path) for path in paths]
    faces = [face_detector().find(image)[:1] for image in images]
    return {
        "chips": sum(chip(image, face.points).size for image, (face,) in _with_faces(images, faces))
    }


def only_opened(paths: Sequence[str]) -> dict[str, Any]:
    """The same pictures, nothing more."""
    return {"pixels": sum(_opened(path).size for path in paths)}


def _with_faces(images: Sequence[Pixels], faces: Sequence[Any]) -> list[tuple[Pixels, Any]]:
    return [(image, its) for image, its in zip(images, faces, strict=True) if its]


def _opened(path: str) -> Pixels:
    return np.asarray(Image.open(Path(path)).convert("RGB"), np.uint8)
