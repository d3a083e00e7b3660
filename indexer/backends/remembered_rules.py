"""What a store remembers of the rules of its builds, for each folder that it is built from.

It stands in what the store says of itself (`About.rules`), in a folder and in a Milvus alike: so
every copy has it, and an earlier version, which would forget it, refuses the store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from ...core.errors import UsageError
from ...engine.remote.urls import is_address
from ..scan.rules import RootRules, Rules
from ..scan.walk import below, is_below
from .base import Backend

_MOST_BYTES = 40_000
"""Of all rules, in JSON: a Milvus's texts end at 65,535, and there is more to say of a store."""


def remembered(backend: Backend) -> dict[bytes, RootRules]:
    """Folder that is built from, absolute -> its rules; those without any are not in it."""
    base = backend.base
    return {
        _absolute(root, base): RootRules.from_document(document)
        for root, document in backend.about.rules.items()
    }


def remember(backend: Backend, rules: Mapping[bytes, RootRules]) -> None:
    """Have a store remember these rules and no others; for its one writer.

    Raises:
        UsageError: they are too long.
        StoreError: it can't be written.
    """
    base = backend.base
    documents = {
        _relative(root, base): document
        for root, one in sorted(rules.items())
        if (document := one.document())
    }
    if documents == backend.about.rules:
        return
    if len(json.dumps(documents)) > _MOST_BYTES:
        raise UsageError(
            "these rules are too long to be remembered: give fewer or shorter patterns, or move "
            "what is to be left out to a folder of its own"
        )
    backend.set_about(backend.about.renewed(rules=documents))


def rules_for(
    roots: Iterable[bytes],
    before: Iterable[bytes],
    known: Mapping[bytes, RootRules],
    said: Rules | None,
    named: Iterable[bytes] = (),
    here: bytes | None = None,
) -> dict[bytes, RootRules]:
    """Of each folder of a build, the rules.

    Args:
        roots: folders that the build walks.
        before: those that the store was built from before.
        known: what it remembers.
        said: what was said now, which takes the place of that; None where nothing was.
        named: folders that were named now; where none is, all are meant.
        here: the current folder, in which patterns were typed.

    Raises:
        UsageError: a folder that was named is left out by a pattern that was given with it.
    """
    roots, named, before = list(roots), set(named), set(before)
    found: dict[bytes, RootRules] = {}
    for root in roots:
        is_known = root in known or root in before
        memory = known.get(root, RootRules()) if is_known else _inherited(root, known)
        if said is None:
            found[root] = memory
            continue
        above = _nearest_above(root, named or roots)
        if above is None or root in named:
            found[root] = RootRules.of(said, root, here)
        else:  # the patterns are about the folder that was named, or is the outer one
            found[root] = RootRules.of(said, above, here).at(below(root, above))
        if said.keeps_patterns:
            found[root] = found[root].with_patterns_of(memory)
        if root in named and found[root].keeps_out_all:
            raise UsageError(
                f"{os.fsdecode(root)} is both named and excluded: leave one of the two out"
            )
    return found


def _inherited(root: bytes, known: Mapping[bytes, RootRules]) -> RootRules:
    """Of a new folder, which may lie in one with rules, also through links: they hold here, too,
    but not against the folder itself."""
    if (above := _nearest_above(root, known)) is not None:
        return known[above].at(below(root, above)).without_itself()
    if is_address(root):
        return RootRules()
    real = os.path.realpath(root)
    led = {os.path.realpath(one): one for one in known if not is_address(one)}
    if (there := max((one for one in led if is_below(real, one)), key=len, default=None)) is None:
        return RootRules()
    return known[led[there]].at(below(real, there)).without_itself()


def without(roots: Iterable[bytes], rules: Mapping[bytes, RootRules]) -> list[bytes]:
    """Those of `roots` that are not left out themselves: one that was built from before, and lies
    in another whose patterns now leave it out."""
    return [root for root in roots if not rules[root].keeps_out_itself]


def _nearest_above(root: bytes, others: Iterable[bytes]) -> bytes | None:
    above = [one for one in others if one != root and is_below(root, one)]
    return max(above, key=len, default=None)


def _relative(root: bytes, base: bytes | None) -> str:
    if base is None or is_address(root) or not is_below(root, base):
        return os.fsdecode(root)
    return os.fsdecode(below(root, base)) or "."


def _absolute(root: str, base: bytes | None) -> bytes:
    raw = os.fsencode(root)
    if base is None or is_address(raw):
        return raw
    return os.path.normpath(os.path.join(base, raw))
