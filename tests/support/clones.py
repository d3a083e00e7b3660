"""What a clone of the repository holds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IGNORED = (".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "*.tll")
IGNORED_HERE = ("build", "dist", "run", "site")  # of ROOT itself


def files_of_a_clone() -> list[Path]:
    """What is neither git's nor ignored, relative to ROOT; also where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if listed.returncode == 0:
            found = (Path(name) for name in listed.stdout.split("\0") if name)
            return [path for path in found if (ROOT / path).is_file()]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [
        path
        for path in found
        if path.parts[0] not in IGNORED_HERE
        and not any(Path(part).match(name) for part in path.parts for name in IGNORED)
    ]


def copy_clone(folder: Path) -> None:
    """Put these files into `folder`."""
    for path in files_of_a_clone():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
