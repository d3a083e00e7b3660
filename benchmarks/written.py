"""What a benchmark found, as a JSON file that is whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tll_index.core.atomic_files import replace_file


def write(found: dict[str, Any], file: Path) -> None:
    """Write the JSON; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=2) + "\n"

    def put(new: Path) -> None:
        new.write_text(text, "utf-8")

    replace_file(file, put)
