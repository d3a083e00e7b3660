"""`tll-index watch`: keep a store in step with the disk."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.names import shown
from ..core.wording import counted
from .shared.bars import bars
from .shared.build_options import build_arguments, build_options
from .shared.formats import format_option
from .shared.interrupts import INTERRUPTED
from .shared.options import debug_option, quiet_option
from .shared.param_types import PATH_OR_ADDRESS, Number

if TYPE_CHECKING:
    from ..indexer.ingest.report import BuildReport, Skipped

_COUNTS = ("added", "updated", "moved", "removed")
_AT_MOST = 20
"""Unusable files that are named at a time."""


@click.command()
@click.argument("folders", nargs=-1, type=PATH_OR_ADDRESS, metavar="[DIR]...")
@click.option(
    "--poll",
    type=Number(),
    metavar="SECONDS",
    help="Scan everything this often, where the system reports no changes, as on network disks.",
)
@build_options
@format_option("table", "jsonl", json="jsonl")
@quiet_option
@debug_option
def watch(
    folders: tuple[Path, ...], poll: float | None, format: str, quiet: bool, **options: Any
) -> None:
    """Bring an index up to date, as 'build' does, and keep it so until Ctrl-C.

    Without DIR, it watches the folders that the store was built from. After any stop it goes on
    where it was, and finds what has changed since. Between its builds, other commands can write to
    the store.
    """
    from ..indexer.ingest.watch import Listener
    from ..indexer.ingest.watch import watch as watch_folders

    as_json = format == "jsonl"

    class Lines(Listener):
        """A listener that prints a line for each thing that happens."""

        first = True

        def built(self, report: BuildReport, fresh: Sequence[Skipped]) -> None:
            """See `Listener.built`."""
            counts = {name: getattr(report, name) for name in _COUNTS}
            if as_json:
                skipped = [{"path": shown(one.path), "reason": one.reason} for one in fresh]
                passed = _passed_over(report) if self.first else {}
                _json("in step" if self.first else "changed", **counts, skipped=skipped, **passed)
            elif not quiet:
                said = [f"{name} {count:,}" for name, count in counts.items() if count]
                if self.first and report.unchanged:
                    said.append(f"unchanged {report.unchanged:,}")
                if fresh and (self.first or len(fresh) > _AT_MOST):
                    said.append(f"can't use {counted(len(fresh), 'file')}")
                elif fresh:
                    said += [f"can't use {shown(one.path)}: {one.reason}" for one in fresh]
                _line(", ".join(said) or "no pictures")
            if self.first:
                bar.close()
            self.first = False

        def waiting(self, why: str) -> None:
            """See `Listener.waiting`."""
            self._complain("waiting", why)

        def failed(self, error: Exception, rest: float) -> None:
            """See `Listener.failed`."""
            self._complain("failed", f"{error}; tried again in {rest:g} s")

        def polling(self, why: str, seconds: float) -> None:
            """See `Listener.polling`."""
            why = f"{why}: looking at everything every {seconds:g} s instead"
            if "inotify" in why:
                why += "; a larger fs.inotify.max_user_watches (or _instances) lets it listen"
            self._complain("polling", why)

        def _complain(self, event: str, text: str) -> None:
            if as_json:
                _json(event, message=text)
            else:
                _line(text, err=True)

    with ExitStack() as bar:
        progress = bar.enter_context(bars(quiet or as_json))
        watch_folders(
            folders, poll=poll, listener=Lines(), progress=progress, **build_arguments(options)
        )
    sys.exit(INTERRUPTED)


def _passed_over(report: BuildReport) -> dict[str, object]:
    """What the first build left alone, and its rules, where there are any; JSON values."""
    left_out = report.left_out
    facts = {
        "unread": left_out.kinds(),
        "system_folders": len(left_out.system_folders),
        "excluded_nothing": list(left_out.unused),
        "rules": {os.fsdecode(root): one.options() for root, one in report.rules.items()},
    }
    return {name: value for name, value in facts.items() if value}


def _line(text: str, err: bool = False) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {shown(text)}", err=err)


def _json(event: str, **facts: object) -> None:
    from ..rendering.formats import to_json

    now = datetime.now().astimezone().isoformat(timespec="seconds")
    click.echo(to_json({"time": now, "event": event, **facts}))
