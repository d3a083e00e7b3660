"""Extras: what each brings is what setup.cfg says, and what is missing is said in one line."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

import pytest

from tll_index.core.errors import TllError
from tll_index.core.extras import PARTS, extra, is_installed, require_extra

ROOT = Path(__file__).parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def packages_of(requirements: str) -> set[str]:
    """The packages that some lines of requirements name; not those of other extras of ours."""
    lines = filter(None, requirements.splitlines())
    return {re.split(r"[\s\[<>=;#]", line)[0] for line in lines} - {"", "tll-index"}


@pytest.mark.parametrize("name", PARTS)
def test_what_an_extra_brings_is_what_setup_cfg_says(name: str) -> None:
    brought = packages_of(SETUP["options.extras_require"][name])
    assert brought and brought <= set(PARTS[name].values())


def test_what_is_missing_is_said_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra("train", "training")
    for module in ("torch", "sklearn", "scipy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TllError) as caught:
        require_extra("train", "training")
    assert str(caught.value) == (
        "training needs torch, scikit-learn and scipy: pip install 'tll-index[train]'"
    )
    with pytest.raises(TllError, match=r"^this needs scipy: pip install 'tll-index\[train\]'$"):
        require_extra("train", "this", ["scipy"])
    with pytest.raises(TllError, match=r"^that needs scikit-learn: pip"):
        extra("sklearn.decomposition", "train", "that")


def test_what_is_there_is_not_imported() -> None:
    for package in PARTS.values():
        for module in package:
            before = module in sys.modules
            assert is_installed(module) and (module in sys.modules) == before
    assert not is_installed("tll_index_no_such_module")


def test_what_cannot_be_loaded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "watchdog.py").write_text("raise ImportError('no such symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "watchdog"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        TllError, match=r"needs watchdog, which can't be loaded \(.*symbol.*\): pip"
    ):
        extra("watchdog", "watch", "this")
