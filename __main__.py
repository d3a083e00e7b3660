"""Where the process begins: what the command `tll-index` and `python -m tll_index` run.

It imports nothing at its top that takes time, so a Ctrl-C that comes early is a quiet end too.

Python would search all that modules consist of for garbage, several times while they are loaded and
again when it ends. That takes as long as a query, and there is none.
"""

from __future__ import annotations

import atexit
import gc
from typing import NoReturn

from .core import signals


def main() -> NoReturn:
    """Be the command line, and end as the process was told to: see `cli.main`."""
    signals.heed_early()
    gc.disable()  # until a command begins that may work for long: see `cli.cli`
    atexit.register(gc.freeze)
    from .cli import main as command_line

    try:
        command_line()
    except SystemExit as end:
        signals.end_as_told(end.code)
        raise


if __name__ == "__main__":
    main()
