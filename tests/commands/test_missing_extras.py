"""A command that needs an extra asks for it, in one line and before any work.

tests/end_to_end/test_core.py has them all, in an environment without any extra."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from pictures import fill_folder
from training import draw_pairs, one_line

TRAIN = "training needs torch, scikit-learn and scipy: pip install 'tll-index[train]'"
CLIP = "needs torch and timm: pip install 'tll-index[clip]'"
FLOAT = "build photos --backbone efficientnet_lite0"
WEIGHTS = "own.pth"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("train pairs --out x.npz", TRAIN),
        ("eval pairs", TRAIN),
        ("build photos --backbone clip_rn50x4", f"backbone clip_rn50x4 {CLIP}"),
        ("build photos --text", f"backbone clip_rn50x4 {CLIP}"),
        ("build photos --backbone facenet", f"backbone facenet {CLIP}"),
        ("build photos --backbone tiny", "backbone tiny needs torch: pip install"),
        (f"{FLOAT} --weights {WEIGHTS}", f"efficientnet_lite0 with other weights {CLIP}"),
        (f"{FLOAT} --runtime torch", f"runtime torch {CLIP}"),
        (f"{FLOAT} --device cuda", f"device cuda {CLIP}"),
    ],
)
def test_the_extra_is_named(
    here: Path,
    tll_index: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    says: str,
) -> None:
    fill_folder(here / "photos", 1)
    draw_pairs(here / "pairs")
    (here / WEIGHTS).touch()
    before = sorted(here.rglob("*"))
    for module in ("torch", "timm", "sklearn", "scipy"):
        monkeypatch.setitem(sys.modules, module, None)
    said = one_line(tll_index(*command.split()), 1)
    assert said.startswith(f"tll-index: {says}")
    assert sorted(here.rglob("*")) == before


def test_a_fetch_without_the_library_of_the_hub(
    tll_index: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert one_line(tll_index("backbones", "fetch", "clip_rn50x4"), 1) == (
        "tll-index: fetching clip_rn50x4 needs huggingface_hub: pip install 'tll-index[clip]'"
    )


def test_what_is_on_the_hub_is_not_needed_for_a_build(
    here: Path, tll_index: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though `auto` would take a backbone whose weights were in its cache."""
    fill_folder(here / "photos", 1)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    result = tll_index("build", "photos", "--dry-run")
    assert result.code == 0 and tll_index("backbones").code == 0
