"""Which files a build looks at: what a person said, what it means below one folder, what it does.

Rules        what was said: --exclude, --hidden, --follow-links, --system-folders
RootRules    the same for one folder that is built from, as a store remembers it
Selection    decides about each name that a walk meets, and counts what it leaves out
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .patterns import ALL, Pattern, Patterns, pattern_of, require_patterns, text_of

SYSTEM_FOLDERS = frozenset(
    [
        *(b"@eadir", b"#recycle", b"#snapshot", b"@tmp", b"@synologyworking", b"@sharebin"),
        *(b"@appdata", b"@database", b"@img_bkp_cache", b"@recycle", b"@recently-snapshot"),
        *(b".@__thumb", b".@__qini", b".@upload_cache", b"@__thumb"),
        *(b"$recycle.bin", b"recycler", b"system volume information"),
        *(b"$windows.~bt", b"$windows.~ws", b"found.000", b"lost+found", b".trashes"),
        *(b".spotlight-v100", b".fseventsd", b".documentrevisions-v100", b".temporaryitems"),
        *(b".appledouble", b".appledb", b".appledesktop", b"network trash folder", b"__macosx"),
        *(b".thumbnails", b".thumbs", b".xvpics", b".zfs", b".snapshot", b".snapshots"),
    ]
)
"""Folders, in lower case, in which NAS, Windows, macOS, Linux and programs for pictures keep what
was thrown away, snapshots, or thumbnails of what lies beside them."""
_SYSTEM_ENDINGS = (b".lrdata",)
"""Lightroom's previews."""
_APPLE_TRASH = b".Trash"
"""With its case: people call folders of their own .trash."""
_SYSTEM_BEGINNINGS = (b".trash-",)
_APPLE_DOUBLE = b"._"
"""Begins a file in which macOS keeps what other file systems have no place for: no picture,
whatever its ending says."""


@dataclass(frozen=True)
class Rules:
    """Which files a build looks at."""

    exclude: tuple[str, ...] = ()
    """Patterns of paths that are left out, as in a .gitignore in the folder that is built from, or
    absolute; `!` lets in again what those before it keep out."""
    hidden: bool = False
    """Also names that begin with a dot."""
    follow_links: bool = False
    """Also through symbolic links; each real folder is still walked once, so loops end."""
    system_folders: bool = False
    """Also what systems and programs keep for themselves: recycle bins, snapshots, thumbnails."""
    keeps_patterns: bool = False
    """Said to a store: what it remembers of a folder's patterns stays, whatever else is said."""

    def options(self) -> list[str]:
        """As the command line takes them."""
        said = [part for one in self.exclude for part in ("--exclude", one)]
        said += ["--hidden"] * self.hidden
        said += ["--follow-links"] * self.follow_links
        return said + ["--system-folders"] * self.system_folders

    def __str__(self) -> str:
        return " ".join(map(shlex.quote, self.options())) or "none"


@dataclass(frozen=True)
class RootRules:
    """Rules as they hold below one folder."""

    said: Rules = Rules()
    patterns: tuple[Pattern, ...] = ()
    """Of `said.exclude`, below the folder that they were said of."""
    below: str = ""
    """Where this folder lies below that one; empty where it is that one."""

    @classmethod
    def of(cls, said: Rules, root: bytes, here: bytes | None = None) -> RootRules:
        """
        Args:
            root: absolute, or an address.
            here: the current folder, in which patterns were typed.

        Raises:
            UsageError: a pattern is empty, or an address that can't be one.
        """
        require_patterns(said.exclude)
        patterns = [pattern_of(typed, root, here) for typed in said.exclude]
        # What is let in again is what was meant first, whatever else it may mean.
        narrow = [one._replace(lines=one.lines[:1]) if one.takes_back else one for one in patterns]
        return cls(said, tuple(narrow))

    def at(self, path: bytes) -> RootRules:
        """The same for a folder below: `path` is where, below this one."""
        return replace(self, below="/".join(filter(None, (self.below, text_of(path)))))

    def with_patterns_of(self, other: RootRules) -> RootRules:
        """Another folder's rules but for their patterns, which are those of `other`."""
        said = replace(self.said, exclude=other.said.exclude, keeps_patterns=False)
        return replace(other, said=said)

    def without_itself(self) -> RootRules:
        """Without patterns that keep out the folder itself, for one that was given by name."""
        kept = [one for one in self.patterns if not _keeps_out(Patterns([one]), self.below)]
        said = replace(self.said, exclude=tuple(one.typed for one in kept))
        return replace(self, said=said, patterns=tuple(kept))

    @property
    def keeps_out_itself(self) -> bool:
        """Whether the folder itself is kept out, by a pattern about one of those above."""
        return _keeps_out(Patterns(self.patterns), self.below)

    @property
    def keeps_out_all(self) -> bool:
        """Whether a pattern is about the folder as a whole, by its absolute path."""
        return any(ALL in one.lines and one.typed.strip("*/") for one in self.patterns)

    def document(self) -> dict[str, Any]:
        """As JSON values; empty where nothing was said."""
        said = self.said
        flags = {name: True for name in _FLAGS if getattr(said, name)}
        patterns = [[one.typed, *one.lines] for one in self.patterns]
        return {
            **({"exclude": patterns} if patterns else {}),
            **({"below": self.below} if patterns and self.below else {}),
            **flags,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RootRules:
        """What `document` gave.

        Raises:
            TypeError, ValueError, AttributeError: it is no such document.
        """
        rows = document.get("exclude", [])
        if not all(isinstance(part, str) for row in rows for part in row):
            raise TypeError("exclude")
        patterns = tuple(Pattern(typed, tuple(lines)) for typed, *lines in rows)
        flags = {name: bool(document.get(name, False)) for name in _FLAGS}
        said = Rules(exclude=tuple(one.typed for one in patterns), **flags)
        return cls(said, patterns, str(document.get("below", "")))


_FLAGS = ("hidden", "follow_links", "system_folders")


def _keeps_out(patterns: Patterns, below: str) -> bool:
    """Whether a folder is kept out, or one that it lies in."""
    parts = below.split("/") if below else []
    return any(
        patterns.keeps_out("/".join(parts[: count + 1]) + "/") for count in range(len(parts))
    )


class Selection:
    """What one walk leaves out. Try the folders above first: what lies in one that is left
    out is left out as well."""

    def __init__(self, rules: RootRules) -> None:
        said = rules.said
        self._rules = rules
        self._hidden = said.hidden
        self._system = said.system_folders
        self._prefix = f"{rules.below}/" if rules.below else ""
        self._below = Patterns(rules.patterns)
        self._elsewhere = Patterns(rules.patterns, anywhere=True)
        self._unused = {one.typed for one in rules.patterns if not one.takes_back}

    @property
    def names_paths(self) -> bool:
        """Whether where links lead matters."""
        return bool(self._below) or bool(self._elsewhere)

    @property
    def excluding(self) -> tuple[str, ...]:
        """Patterns that leave something out, if there is anything; as typed."""
        return tuple(one.typed for one in self._rules.patterns if not one.takes_back)

    @property
    def used(self) -> set[str]:
        """Those of them that did."""
        return set(self.excluding) - self._unused

    def skips_system(self, name: bytes, is_folder: bool) -> bool:
        """Whether it is left out because of this name, which is one that systems use."""
        return not self._system and is_system(name, is_folder)

    def skips_hidden(self, name: bytes) -> bool:
        """Whether it is left out because it is hidden."""
        return not self._hidden and name.startswith(b".")

    def skips_path(self, below_root: bytes, is_folder: bool) -> bool:
        """Whether patterns leave out the folder or picture at this path below the root."""
        if not self._below:
            return False
        path = self._prefix + text_of(below_root) + ("/" if is_folder else "")
        return self._note(self._below, path)

    def skips(self, below_root: bytes, is_folder: bool) -> bool:
        """Whether any of them leaves it out."""
        name = os.path.basename(below_root)
        return (
            self.skips_system(name, is_folder)
            or self.skips_hidden(name)
            or self.skips_path(below_root, is_folder)
        )

    def skips_any(self, below_root: bytes, is_folder: bool) -> bool:
        """Whether it, or a folder above it, is left out; what is at the root itself is not."""
        parts = below_root.split(b"/") if below_root else []
        return any(
            self.skips(b"/".join(parts[:count]), is_folder or count < len(parts))
            for count in range(1, len(parts) + 1)
        )

    def skips_way(self, below_root: bytes, is_folder: bool) -> bool:
        """The same, by patterns alone."""
        parts = below_root.split(b"/") if below_root else []
        return any(
            self.skips_path(b"/".join(parts[:count]), is_folder or count < len(parts))
            for count in range(1, len(parts) + 1)
        )

    def skips_elsewhere(self, path: bytes, is_folder: bool) -> bool:
        """Whether patterns leave out what is at this absolute path, outside the root: where a link
        leads."""
        if not self._elsewhere:
            return False
        parts = text_of(path).strip("/").split("/")
        paths = ["/".join(parts[:count]) + "/" for count in range(1, len(parts))]
        paths.append("/".join(parts) + ("/" if is_folder else ""))
        return any(self._note(self._elsewhere, one) for one in paths)

    def _note(self, patterns: Patterns, path: str) -> bool:
        if not patterns.keeps_out(path):
            return False
        if self._unused:
            self._unused -= set(patterns.which(path))
        return True


def is_system(name: bytes, is_folder: bool) -> bool:
    """Whether a folder or picture of this name is what a system keeps for itself."""
    if not is_folder:
        return name.startswith(_APPLE_DOUBLE)
    lower = name.lower()
    return (
        lower in SYSTEM_FOLDERS
        or name == _APPLE_TRASH
        or lower.startswith(_SYSTEM_BEGINNINGS)
        or lower.endswith(_SYSTEM_ENDINGS)
    )
