"""`tll-index serve`: a page and a JSON API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .shared.options import (
    debug_option,
    device_option,
    max_megapixels_option,
    runtime_option,
    store_option,
    store_weights_option,
    truncated_option,
    workers_option,
)
from .shared.param_types import PATH, WholeNumber

if TYPE_CHECKING:
    from ..core.location import Location
    from ..web.server import Address

_MIB = 1 << 20


@click.command()
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=WholeNumber(),
    default=8017,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="Also accept requests for this name, such as a reverse proxy's; NAME:PORT if the proxy "
    "hides the port.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Also trust the X-Forwarded headers of this address or network.  [default: only this "
    "machine's]",
)
@click.option(
    "--root-path",
    default="",
    metavar="PATH",
    help="Path below which a reverse proxy serves the page, such as /lookalikes.",
)
@click.option(
    "--token-file",
    type=PATH,
    help="Require the token in this file.  [default: TLL_TOKEN; without it none on this machine's "
    "own address, a new one on any other]",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--max-upload",
    type=WholeNumber(1),
    default=32,
    show_default=True,
    metavar="MIB",
    help="Refuse larger uploads.",
)
@store_weights_option
@device_option
@runtime_option
@workers_option
@max_megapixels_option
@truncated_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the address.")
@debug_option
def serve(
    store: Location | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    proxies: tuple[str, ...],
    root_path: str,
    token_file: Path | None,
    opens: bool,
    max_upload: int,
    quiet: bool,
    weights: Path | None,
    **settings: Any,
) -> None:
    """Serve a page for browsing by likeness, and a JSON API, until Ctrl-C.

    Only this machine can reach it, unless --host says otherwise; then everyone needs a token.
    """
    from ..core.config import load_settings
    from ..core.extras import require_extra
    from ..indexer.store.store import Store

    require_extra("serve", "serve")
    from ..web.http.settings import Options
    from ..web.server import serve as serve_store

    def ready(address: Address) -> None:
        click.echo(address.url)
        if not quiet:
            click.echo("Ctrl-C stops.", err=True)
        if opens:
            click.launch(address.url)

    token = _token(token_file)
    with Store.open(weights=weights, settings=load_settings(store=store, **settings)) as opened:
        serve_store(
            opened,
            host=host,
            port=port,
            token=token,
            names=names,
            options=Options(
                upload_bytes=max_upload * _MIB,
                proxies=(*Options.proxies, *proxies),
                root_path=root_path,
            ),
            ready=ready,
        )


def _token(file: Path | None) -> str | None:
    from ..core.errors import TllError

    if file is None:
        return os.environ.get("TLL_TOKEN") or None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TllError(f"--token-file: {file} can't be read: {why}") from None
