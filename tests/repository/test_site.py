"""The documentation builds as a site: every page, every public name, nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tll_index

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ("commands", "core", "engine", "indexer", "rendering", "web")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("mkdocstrings", reason="the extra 'docs' is not installed")
    if sys.version_info < (3, 11):
        pytest.skip("mkdocstrings and pymdown-extensions for Python 3.10 don't fit each other")
    named = tmp_path_factory.mktemp("source") / "tll_index"
    named.mkdir()
    for path in (*(ROOT / name for name in PACKAGE), *ROOT.glob("*.py")):
        (named / path.name).symlink_to(path)
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", out],
        cwd=ROOT,
        env={**os.environ, "TLL_SOURCE": str(named.parent), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_every_document_is_a_page_of_the_navigation(site: Path) -> None:
    named = set(re.findall(r"^\s+- ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    docs = ROOT / "docs"
    assert named == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    for name in named:
        assert (site / name).with_suffix(".html").is_file()


@pytest.mark.slow
def test_every_public_name_is_described(site: Path) -> None:
    page = (site / "api.html").read_text()
    missing = [
        name
        for name in tll_index.__all__
        if not name.startswith("_") and f'id="tll_index.{name}"' not in page
    ]
    assert not missing


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(\w+:)?//", re.DOTALL)
    for page in site.rglob("*.html"):
        assert not fetched.search(page.read_text()), page.name
