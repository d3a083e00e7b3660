"""Where the process begins: what the command `tll-index` and `python -m tll_index` run.

It imports nothing at its top that takes time, so a Ctrl-C that comes early is a quiet end too.
"""

from __future__ import annotations

from typing import NoReturn

from .core import signals


def main() -> NoReturn:
    """Be the command line, and end as the process was told to: see `cli.main`."""
    signals.heed_early()
    from .cli import main as command_line

    try:
        command_line()
    except SystemExit as end:
        signals.end_as_told(end.code)
        raise


if __name__ == "__main__":
    main()
