"""Patterns of paths, by the rules of .gitignore: what a person types, held against a path.

    typed     private/   ./private   lib/private   ~/lib/private   **/raw/**   2019/*.png   !keep
    lines     the same below one folder, as a .gitignore there would have them
    Patterns  those lines compiled: which one decides about a path below that folder

A path is text here, as `text_of` gives it: names that only differ in how Unicode spells them (é as
one character or as e and an accent: what a keyboard gives and what macOS stores) are one name.

Two things are not git's. A pattern with a slash in its middle, but not at its front, and without
`**`, is a shell pattern as well, whose `*` also matches slashes: so it was in earlier versions, and
what it kept out stays out. And `#` begins no comment.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...core.errors import UsageError
from ...core.file_urls import is_file_url, pattern_of_url
from ...engine.remote.urls import is_address, tidied

ALL = "**"
"""The line that everything below a folder matches."""
ELSEWHERE = "//"
"""Begins a line about an absolute path that is not below the folder: links may lead there."""

_TAKES_BACK = "!"
_SLASHES = re.compile("/+")
_WILD = re.compile(r"[*?\[\\]")
_DOTS = {".", ".."}
_NESTED = re.compile(r"(?<!\\)\[\[")
"""In a class of characters; `re` warns that this may mean another thing some day."""
_NOTHING = re.compile(r"(?!)")


class Pattern(NamedTuple):
    """One pattern, as it holds below one folder."""

    typed: str
    lines: tuple[str, ...]
    """Any of them; none where the pattern is about other folders."""

    @property
    def takes_back(self) -> bool:
        """Whether it lets in again what patterns before it keep out."""
        return self.typed.startswith(_TAKES_BACK)


def composed(text: str) -> str:
    """`text` in Unicode's composed form (NFC); most is, and is given back as it is."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def text_of(path: bytes) -> str:
    """`path` as patterns see it; bytes that are no UTF-8 stay what they are (PEP 383)."""
    return composed(os.fsdecode(path))


def same_name(path: bytes) -> bytes:
    """What is equal for two paths if people can't tell their names apart."""
    return path if path.isascii() else os.fsencode(text_of(path))


def require_patterns(patterns: Sequence[str]) -> None:
    """
    Raises:
        UsageError: one is empty, or says nothing.
    """
    for pattern in patterns:
        if not pattern.removeprefix(_TAKES_BACK).strip("/"):
            if pattern.removeprefix(_TAKES_BACK):  # the root of all folders
                continue
            raise UsageError(f"a pattern for paths is empty: {pattern!r}")


def pattern_of(typed: str, folder: bytes, here: bytes | None = None) -> Pattern:
    """What `typed` means below `folder` (absolute, or an address).

    Args:
        here: the folder that a relative path with a slash may begin in as well, as shells complete
            it; None for none.
    """
    body = typed.removeprefix(_TAKES_BACK)
    lines = dict.fromkeys(map(composed, _lines(body, folder, here)))
    return Pattern(typed, tuple(typed[: len(typed) - len(body)] + line for line in lines))


def _lines(body: str, folder: bytes, here: bytes | None) -> Iterator[str]:
    """Without the `!`; the likeliest reading first."""
    rests: list[str] = []
    if is_file_url(body):
        body = pattern_of_url(body)
    if is_address(body) and is_address(body := os.fsdecode(tidied(os.fsencode(body)))):
        rests = _below(body, folder) if is_address(folder) else []
        yield from (f"/{rest}" if rest else ALL for rest in rests)
        return
    slash = "/" if body.endswith("/") else ""
    plain = _SLASHES.sub("/", body).rstrip("/")
    expanded = os.path.expanduser(plain)
    is_absolute = expanded.startswith("/") and not _WILD.search(expanded.split("/")[1])
    if is_absolute or not plain:
        rests = [] if is_address(folder) else _of_absolute(expanded, folder)
    elif "/" in plain and here is not None and not _WILD.search(plain.partition("/")[0]):
        path = os.path.normpath(os.path.join(os.fsdecode(here), plain))
        rests = [rest for rest in _below(path, folder) if rest]
    yield from (f"/{rest}{slash}" if rest else ALL for rest in rests)
    yield from (line + slash for line in _of_relative(plain, folder))
    if is_absolute and not rests:
        yield f"{ELSEWHERE}{expanded.lstrip('/')}{slash}"


def _of_relative(plain: str, folder: bytes) -> Iterator[str]:
    """Also of what begins with a slash: below the folder."""
    parts = plain.split("/")
    if _DOTS.intersection(parts):
        inner = os.path.normpath(plain)
        if inner != "." and ".." not in inner.split("/"):
            yield f"/{inner.lstrip('/')}"
    elif plain:
        yield plain
        own = text_of(os.path.basename(folder.rstrip(b"/")))
        if len(parts) > 1 and composed(parts[0]) == own:
            yield "/" + "/".join(parts[1:])


def _of_absolute(path: str, folder: bytes) -> list[str]:
    if _DOTS.intersection(path.split("/")):
        path = os.path.normpath(path)
    return _below(path, folder) or _really_below(path, folder)


def _below(path: str, folder: bytes) -> list[str]:
    """What is left of a pattern for absolute paths, or addresses, below `folder`: in more than one
    way where it has `**`; '' where the folder itself matches."""

    def rests(parts: list[str], names: list[str]) -> Iterator[list[str]]:
        if not names:
            yield parts
            return
        if not parts:
            yield []
            return
        if parts[0] == "**":
            yield from rests(parts[1:], names)
            yield from rests(parts, names[1:])
        elif fnmatch.fnmatchcase(names[0], parts[0]) or names[0] == parts[0]:
            yield from rests(parts[1:], names[1:])

    parts, names = (composed(one).strip("/").split("/") for one in (path, os.fsdecode(folder)))
    found = rests([part for part in parts if part], [name for name in names if name])
    return list(dict.fromkeys("/".join(rest) for rest in found))


def _really_below(path: str, folder: bytes) -> list[str]:
    """The same, where the folder is called by another of its names: through links."""
    parts = path.strip("/").split("/")
    plain = next((n for n, part in enumerate(parts) if _WILD.search(part)), len(parts))
    real = os.path.realpath(os.fsdecode(folder))
    for count in range(1, plain + 1):
        if os.path.realpath("/" + "/".join(parts[:count])) == real:
            return ["/".join(parts[count:])]
    led = os.path.realpath("/" + "/".join(parts[:plain]))
    return _below("/".join([led, *parts[plain:]]), os.fsencode(real))


class Patterns:
    """Patterns below one folder, compiled."""

    def __init__(self, patterns: Sequence[Pattern], *, anywhere: bool = False) -> None:
        """
        Args:
            anywhere: hold the lines about absolute paths that are elsewhere against the paths,
                rather than all others.
        """
        self._rows: list[tuple[Pattern, re.Pattern[str], re.Pattern[str]]] = []
        exact: list[str] = []
        below: list[str] = []
        for pattern in patterns:
            lines = [
                line[len(ELSEWHERE) - 1 :] if anywhere else line
                for line in pattern.lines
                if line.startswith(ELSEWHERE) == anywhere
            ]
            if not lines:
                continue
            one = [regex for line in lines for regex in _exact(line)]
            other = [regex for line in lines for regex in _with_contents(line)]
            exact += one
            below += other
            self._rows.append((pattern, _any_of(one), _any_of(other)))
        self._takes_back = any(pattern.takes_back for pattern, _, _ in self._rows)
        self._exact, self._below = _any_of(exact), _any_of(below)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def keeps_out(self, path: str) -> bool:
        """Whether the file or (where it ends with a slash) folder `path` itself is kept out: the
        last pattern that matches it decides. What lies in a folder that is kept out is never
        tried."""
        if self._exact.match(path) is None:
            return False
        if not self._takes_back:
            return True
        return not next(p for p, one, _ in reversed(self._rows) if one.match(path)).takes_back

    def which(self, path: str) -> Iterator[str]:
        """The patterns, as typed, that match it."""
        return (pattern.typed for pattern, one, _ in self._rows if one.match(path))

    def chooses(self, path: str) -> bool | None:
        """Whether the file `path` is chosen, by its name or that of a folder that it lies in: the
        last pattern that matches decides; None where none does."""
        if not self._takes_back:
            return True if self._below.match(path) else None
        last = next((p for p, _, one in reversed(self._rows) if one.match(path)), None)
        return None if last is None else not last.takes_back


def _any_of(expressions: Sequence[str]) -> re.Pattern[str]:
    if not expressions:
        return _NOTHING
    return re.compile("|".join(f"(?:{one})" for one in expressions), re.DOTALL)


def _exact(line: str) -> Iterator[str]:
    """Regular expressions that match what a line of .gitignore matches itself, no more: a path,
    with a slash at its end if it is of a folder."""
    git = _git(line)
    # `x/**` is what lies in x, not x.
    yield f"(?:{git})." if line.endswith("/**") and line != "/**" else rf"(?:{git})\Z"
    if (shell := _shell(line)) is not None:
        yield rf"{shell}/\Z" if line.endswith("/") else rf"{shell}/?\Z"


def _with_contents(line: str) -> Iterator[str]:
    """The same for files, also those in a folder that matches."""
    yield _git(line)
    if (shell := _shell(line)) is not None:
        yield f"{shell}/" if line.endswith("/") else rf"{shell}(?:/|\Z)"


@functools.lru_cache(maxsize=4096)
def _git(line: str) -> str:
    """What git makes of a line: it matches a path's beginning up to the slash after what the line
    is about, or its end. What is none of git's patterns is a name as it is."""
    from pathspec.patterns.gitignore import GitIgnorePatternError
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    body = line.removeprefix(_TAKES_BACK)
    if body.startswith(("#", _TAKES_BACK)):
        body = "\\" + body
    if body.endswith("/**/") and set(body.split("/")) - {"", "**"}:
        body += "*/"  # the folders below, not the folder itself: pathspec 1.1 takes it for both
    for text in (_kept_spaces(body), _kept_spaces(body.replace("\\", "\\\\"))):
        try:
            expression, _ = GitIgnoreSpecPattern.pattern_to_regex(text)
            if expression is None:
                continue
            expression = expression.replace("(?P<ps_d>/)", "/").replace("|$)", r"|\Z)")
            expression = _NESTED.sub(r"[\\[", expression)
            re.compile(expression)
        except (GitIgnorePatternError, re.error):
            continue
        return expression if expression.startswith("^") else f".*{expression}"
    return rf"(?:.+/)?{re.escape(body.strip('/'))}(?:/|\Z)"


def _kept_spaces(body: str) -> str:
    r"""git takes spaces from a line's end, unless they are written `\ `; a shell keeps them."""
    bare = body.rstrip(" ")
    return bare + "\\ " * (len(body) - len(bare)) if not bare.endswith("\\") else body


def _shell(line: str) -> str | None:
    """What earlier versions made of it, where `*` also matches slashes; None where git's reading is
    at least as wide."""
    body = line.rstrip("/")
    if body.startswith(("/", _TAKES_BACK)) or "/" not in body or "**" in body:
        return None
    if not _WILD.search(body):
        return None
    expression = fnmatch.translate(body).removesuffix(r"\Z").removesuffix(r"\z")
    return rf"(?:{expression})(?<!/)"
