"""Child processes of our own code: plain ones, that end with their parent and speak bytes."""

from __future__ import annotations

import json
import sys


def command(module: str, arguments: object) -> list[str]:
    """The command that runs `main()` of our `module` with these JSON `arguments`, which it finds in
    `sys.argv[1]`."""
    # With our own search path: the current folder's files are pictures, not code.
    path = [folder for folder in sys.path if folder]
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; main()"
    return [sys.executable, "-c", code, json.dumps(arguments)]
