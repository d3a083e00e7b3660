"""A Python with what `pip install .` brings and nothing else, made of what is installed here."""

from __future__ import annotations

import configparser
import importlib.metadata
import venv
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def requirements(extra: str = "") -> list[Requirement]:
    """What setup.cfg asks for: the core, or an extra beside it."""
    setup = configparser.ConfigParser(inline_comment_prefixes="#")
    setup.read(ROOT / "setup.cfg")
    text = setup["options.extras_require"][extra] if extra else setup["options"]["install_requires"]
    return [Requirement(line) for line in text.splitlines() if line.strip()]


def distributions(wanted: Iterable[Requirement]) -> dict[str, importlib.metadata.Distribution]:
    """These packages and all that they require, by their names."""
    found: dict[str, importlib.metadata.Distribution] = {}
    to_do = list(wanted)
    names = {one.name for one in to_do}
    seen = set()
    while to_do:
        one = to_do.pop()
        if str(one) in seen:
            continue
        seen.add(str(one))
        extras = one.extras or {""}
        if one.marker and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            distribution = importlib.metadata.distribution(one.name)
        except importlib.metadata.PackageNotFoundError:
            if one.name in names:
                raise
            continue  # who installed the other did without
        found[distribution.metadata["Name"]] = distribution
        for line in distribution.requires or []:
            below = Requirement(line)
            if below.marker is None or any(below.marker.evaluate({"extra": it}) for it in extras):
                below.marker = None
                to_do.append(below)
    return found


def link_into(folder: Path, wanted: Iterable[Requirement]) -> None:
    """Link the packages and modules of these requirements into a folder to import from."""
    folder.mkdir(parents=True, exist_ok=True)
    for distribution in distributions(wanted).values():
        tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
        for top in tops:
            link, target = folder / top, Path(str(distribution.locate_file(top)))
            if not link.exists() and target.exists():
                link.symlink_to(target.resolve())


def make_core(folder: Path) -> Path:
    """An environment with the core of this repository; its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    link_into(packages, requirements())
    (packages / "tll_index").symlink_to(ROOT)
    return folder / "bin/python"
