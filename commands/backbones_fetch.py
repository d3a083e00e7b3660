"""`tll-index backbones fetch`: download weights."""

from __future__ import annotations

import click

from .shared.options import debug_option


@click.command(short_help="Download the weights of a backbone.")
@click.argument("name")
@debug_option
def fetch(name: str) -> None:
    """Download the weights of the backbone NAME into your weights folder."""
    from ..core.config import load_settings
    from ..engine.backbones.registry import spec_of
    from ..engine.backbones.weights import fetch as fetch_weights

    click.echo(f"wrote {fetch_weights(spec_of(name), load_settings().weights_dir)}")
