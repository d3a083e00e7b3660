"""The pages of the documentation, and what stands in them: code blocks, inline commands.

A block of shell or Python is run by `test_docs_code.py`. One that can't be has a comment right
above it that says why: `<!-- not run: it needs a Milvus server -->`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^( *)```(\w*)(.*)$")
_NOT_RUN = re.compile(r"^ *<!-- not run: (.+) -->$")
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")


class Block(NamedTuple):
    """A fenced block of code."""

    line: int
    """The first line of the code, from 1."""
    language: str
    text: str
    not_run: str
    """Why it is not run; empty where it is."""


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        if opening := _FENCE.match(lines[number]):
            indent, language, _ = opening.groups()
            end = next(i for i in range(number + 1, len(lines)) if lines[i] == f"{indent}```")
            reason = _NOT_RUN.match(lines[number - 1]) if number else None
            body = "".join(f"{line[len(indent) :]}\n" for line in lines[number + 1 : end])
            yield Block(number + 2, language, body, reason[1] if reason else "")
            number = end
        number += 1


def without_blocks(text: str) -> str:
    """The prose of a page: blocks are empty lines, so that lines keep their numbers."""
    inside, kept = False, []
    for line in text.splitlines():
        fence = _FENCE.match(line)
        kept.append("" if inside or fence else line)
        inside ^= fence is not None
    return "\n".join(kept)


def inline_commands(text: str) -> Iterator[str]:
    """Commands of tll-index within the prose of a page."""
    prose = without_blocks(text)
    for code in re.findall(r"`([^`]+)`", prose):
        if re.match(r"tll-index [a-z]", code):
            yield " ".join(code.split())


def shell_commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a shell text, each as its words. Comments, redirections and variables
    that are set in front are left out."""
    text = _COMMENT.sub("", text.replace("\\\n", " "))
    words = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t\r", True, ""
    command: list[str] = []
    for word in [*words, "\n"]:
        if not set(word) <= set("();<>|&\n"):
            command.append(word)
            continue
        while command and re.match(r"\w+=", command[0]):
            command.pop(0)
        if command:
            yield command
        command = []
