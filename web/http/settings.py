"""What can be set of the server, and what it allows its clients."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core.errors import UsageError

LEAST_TOKEN = 16
"""Characters that a token must have: fewer can be guessed."""


@dataclass(frozen=True)
class Options:
    """How the server treats its clients; the defaults suit one machine and its people."""

    token: str | None = field(default=None, repr=False)
    """Every client must know it; None lets in whoever reaches the server."""
    hosts: frozenset[str] | None = frozenset({"localhost", "127.0.0.1", "::1"})
    """Names by which it may be called (the Host header, without the port); None allows any, which
    only a token makes safe: a foreign page can be under any name. With a port, NAME:PORT: the page
    is reached there, though the Host header that a proxy passes on doesn't say so."""
    proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """Addresses and networks of reverse proxies, whose X-Forwarded headers are believed."""
    root_path: str = ""
    """The path of the page, where a reverse proxy has it below one, such as /lookalikes."""
    upload_bytes: int = 32 << 20
    """The largest picture that can be uploaded."""
    held_bytes: int = 512 << 20
    """Bytes of uploads and originals in memory at any one time; further clients are told to come
    again."""
    body_seconds: float = 60.0
    """An upload must be here after so long."""
    pause_seconds: float = 10.0
    """An upload must not pause for longer."""
    waiting: int = 256
    """Requests that may wait for a thread or a decoder; further ones are told to come again."""
    remembered_uploads: int = 1024
    """Uploaded pictures whose vectors are remembered; the longest unused is forgotten first."""
    remembered_seconds: float = 3600.0
    """An uploaded picture that nobody used for so long is forgotten."""
    thumbnail_bytes: int = 1 << 30
    """What thumbnails may take on disk; the longest unused are removed first."""

    def __post_init__(self) -> None:
        if self.token is not None:
            if len(self.token) < LEAST_TOKEN:
                raise UsageError(
                    f"the token has {len(self.token)} characters; it needs at least {LEAST_TOKEN}"
                )
            if not all("!" <= character <= "~" for character in self.token):
                raise UsageError("the token has spaces or non-ASCII letters, which HTTP can't send")
