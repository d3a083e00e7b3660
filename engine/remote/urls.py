"""Addresses, such as s3://bucket/pictures: told from paths, made tidy, kept free of credentials."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote_to_bytes

from ...core.errors import UsageError
from ...core.file_urls import path_of

_ADDRESS = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_CHAINED = re.compile(rb"::[A-Za-z][A-Za-z0-9+.-]*:/")
_PORT = re.compile(rb"(\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(:\d*)?")

_WEB = (b"http", b"https")
_ALIASES = {
    **{"https": "http", "s3a": "s3", "gcs": "gs", "ssh": "sftp", "dav": "webdav"},
    **dict.fromkeys(("abfss", "az", "adl"), "abfs"),
    "arrow_hdfs": "hdfs",
}
_BUCKETS = (b"s3", b"s3a", b"gs", b"gcs")
"""Where, as on the web, a name before @ can only be a credential; elsewhere it is a user or a
container. Nor has a bucket a port."""
_INSTEAD = {
    **dict.fromkeys(
        (b"s3", b"s3a"), "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    **dict.fromkeys((b"gs", b"gcs"), "the environment variable GOOGLE_APPLICATION_CREDENTIALS"),
    **dict.fromkeys(_WEB, "~/.netrc"),
}

KEEPS = "%/:?#[]@!$&'()*+,;=~"
"""What may stand in an address of the web as it is."""
_SIGN = re.compile(
    rb"sig|token|sas|jwt|hmac|secret|client-secret|password|passwd|pwd|key-pair-id|googleaccessid"
    rb"|hdne[at]s?|authorization"
    rb"|(.*[-.])?(signature|credential|(security|access|auth|sas|id|refresh)-?token|api-?key)"
    rb"|.*access-?key-?id"
)
"""Names of parts of a query string that let whoever knows them in: S3, Google, Azure, Alibaba,
CloudFront, Akamai and many others. Of `_` read `-`; in lower case."""
_WITH_A_SIGN = re.compile(rb"(x-(amz|goog|oss|obs|cos|ms)-.*|expires|policy|s[vretpk]|spr|srt|sip)")
"""Names of parts that only say of a signature how it was made."""
_BETWEEN = re.compile(rb"[?&;#]")
_NESTED = 3
"""How often an address may be escaped within another's query string."""


def is_address(path: str | bytes) -> bool:
    """Whether it is no path but an address, such as https://example.org/a.jpg. (No path that is
    made tidy has two slashes.)"""
    return _ADDRESS.match(os.fsencode(path)) is not None


def scheme_of(address: str | bytes) -> str:
    """What is before ://, in lower case."""
    return os.fsdecode(address).partition("://")[0].lower()


def family_of(address: str | bytes) -> str:
    """Its scheme, of several that are called differently the usual one."""
    scheme = scheme_of(address)
    return _ALIASES.get(scheme, scheme)


def is_web(address: str | bytes) -> bool:
    """Whether it is one of http or https."""
    return family_of(address) == "http"


def host_of(address: str | bytes) -> str:
    """The address up to its host or bucket."""
    scheme, _, rest = os.fsdecode(address).partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def tidied(address: bytes) -> bytes:
    """The one spelling of an address: scheme (and, on the web, host) in lower case, no slash at its
    end, no `.` and `..`, on the web what must be escaped is. One of this machine's files, such as
    file:///photos, becomes its path.

    Raises:
        UsageError: it holds credentials, names no host, bucket or folder, or is of a kind that
            can't be read. The message does not repeat it.
    """
    if (found := _ADDRESS.fullmatch(address)) is None:
        raise UsageError("that is not an address")
    scheme, rest = found[1].lower(), found[2]
    said = scheme.decode()
    if _CHAINED.search(rest):
        raise UsageError(f"{said}://…::…: chained addresses can't be read; name one file system")
    if b"\0" in rest:
        raise UsageError(f"{said}://…: an address has no null character")
    if scheme == b"file":
        return path_of(address)
    host, slash, path = rest.partition(b"/")
    if scheme == b"local":
        return _on_disk(host, slash + path)
    _refuse_credentials(scheme, rest)
    query = b""
    if scheme in _WEB:
        host, path = host.lower(), path.partition(b"#")[0]
        path = quote(path, safe=KEEPS).encode()
        path, mark, query = path.partition(b"?")
        query = mark + query
    path = _without_dots(path).strip(b"/") if not query else _without_dots(path)
    if not host and not path:
        raise UsageError(f"{said}://: name a host or bucket, such as {said}://name/pictures")
    tidy = scheme + b"://" + host + (b"/" + path if path or query or not host else b"") + query
    tidy = tidy.rstrip(b"/")
    folder, _, name = tidy.rpartition(b"/")
    return folder.rstrip(b"/") + b"/" + name if folder.count(b"/") > 1 else tidy


def tidy_root(address: bytes) -> bytes:
    """A tidy address as that of a folder to walk: no two slashes follow each other in it.

    Raises:
        UsageError: it has a query string.
    """
    scheme, _, rest = address.partition(b"://")
    if not is_web(address):
        require_unsigned(address)
    elif b"?" in rest:
        raise UsageError(
            f"{host_of(address)}/…?…: a folder on the web has no query string; name one whose page "
            "links to what lies below it"
        )
    host, slash, path = rest.partition(b"/")
    parts = [part for part in path.split(b"/") if part]
    return scheme + b"://" + host + (slash if parts else b"") + b"/".join(parts)


def require_unsigned(address: str | bytes) -> None:
    """Refuse an address that lets in whoever knows it: it would be printed, or stored.

    Raises:
        UsageError: says what to do instead.
    """
    if is_signed(address):
        raise UsageError(
            f"{host_of(address)}/…: is signed, and whoever reads it here could use it; fetch the "
            "picture yourself and search with '-' (standard input)"
        )


def is_signed(text: str | bytes) -> bool:
    """Whether something in the query string lets in whoever knows it, also in that of an address
    within it."""
    raw = os.fsencode(text)
    for _ in range(_NESTED):
        if any(_SIGN.fullmatch(_name_of(part)) for part in _BETWEEN.split(raw)[1:]):
            return True
        before, raw = raw, unquote_to_bytes(raw)
        if raw == before:
            break
    return False


def unsigned(address: bytes) -> bytes:
    """A signed address without its signature; another one as it is."""
    if not is_signed(address):
        return address
    path, _, query = address.partition(b"?")
    kept = [
        part
        for part in re.split(rb"&amp;|[&;]", query)
        if not (_SIGN.fullmatch(_name_of(part)) or _WITH_A_SIGN.fullmatch(_name_of(part)))
    ]
    rest = path + (b"?" + b"&".join(kept) if any(kept) else b"")
    if is_signed(rest):  # within an address in it
        rest = re.split(rb"[?#;&]|%(?:25)*(?:3[FfBb]|2[36])", address)[0]
    return rest


def is_secret(text: str | bytes) -> bool:
    """Whether what is meant as an address holds credentials, in its query string or before its
    host; also one that lost a slash, or has no scheme."""
    raw = os.fsencode(text)
    if is_signed(raw):
        return True
    if raw.startswith(b"//"):
        raw = b"https:" + raw
    found = re.fullmatch(rb"([A-Za-z][A-Za-z0-9+.-]*):/{1,3}([^/].*)", raw, re.DOTALL)
    if found is None or b"@" not in found[2]:
        return False
    scheme = found[1].lower()
    return scheme not in (b"file", b"local") and _holds_credentials(scheme, found[2])


def _name_of(part: bytes) -> bytes:
    """Of a part of a query string, in one spelling."""
    return unquote_to_bytes(part.partition(b"=")[0]).strip().lower().replace(b"_", b"-")


def _on_disk(host: bytes, path: bytes) -> bytes:
    """What fsspec calls local://, where nothing is escaped."""
    if host or not path:
        raise UsageError("local://: name a path of this machine, such as local:///photos")
    return path


def _holds_credentials(scheme: bytes, rest: bytes) -> bool:
    """Whether what is before the host is a credential; so is what can't be read as a host."""
    host = rest.partition(b"/")[0]
    user, at, machine = host.rpartition(b"@")
    is_bucket = scheme in _BUCKETS and not host.startswith(b"arn:")
    return bool(
        b":" in user
        or (at and (scheme in _WEB or is_bucket))
        or (is_bucket and b":" in host)  # a key with slashes: what follows is not the host yet
        or (not host.startswith(b"arn:") and _PORT.fullmatch(machine) is None)
    )


def _refuse_credentials(scheme: bytes, rest: bytes) -> None:
    if _holds_credentials(scheme, rest):
        instead = _INSTEAD.get(scheme, "environment variables of fsspec or the scheme's package")
        raise UsageError(
            f"{scheme.decode()}://…: an address must hold no credentials, since it is stored and "
            f"printed; use {instead}"
        )


def _without_dots(path: bytes) -> bytes:
    if b"." not in path:
        return path
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part != b".":
            parts.append(part)
    return b"/".join(parts)
