"""A folder of pictures to which things happen: added, changed, moved, copied, damaged, deleted."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

FOLDERS = ("", "a", "b", "a/deep", "c c", "ü")
MOST = 60
"""Files; of more, some are deleted."""


class Tree:
    """The folder `root`. Each operation takes three whole numbers, which decide all that it has to
    choose; one that can't be done now does nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.usable: dict[str, bytes] = {}
        """Every picture file that there ever was, by its SHA-256."""
        self._clock = 0
        root.mkdir()
        (root / "notes.txt").write_text("a folder that is quite empty counts as unmounted")
        for number in range(6):
            self.add(number, number, number)

    def files(self) -> list[Path]:
        """The picture files, sorted."""
        return sorted(path for path in self.root.rglob("*") if path.suffix in (".png", ".bmp"))

    def _one(self, number: int) -> Path | None:
        files = self.files()
        return files[number % len(files)] if files else None

    def content(self, seed: int, bitmap: bool) -> bytes:
        """A picture file; all bitmaps have the same size."""
        blocks = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(blocks).resize((30, 20), Image.Resampling.NEAREST).save(
            out, "BMP" if bitmap else "PNG"
        )
        self.usable[hashlib.sha256(out.getvalue()).hexdigest()] = out.getvalue()
        return out.getvalue()

    def _write(self, path: Path, data: bytes, when: int) -> None:
        """Now, or at a moment of its own in the past."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if when % 3:
            self._clock += 1
            ns = 10**18 + self._clock * 10**9 + when % 1000
            os.utime(path, ns=(ns, ns))

    def add(self, a: int, b: int, c: int) -> None:
        """A new picture, or other content for one of that name."""
        suffix = ".bmp" if b % 2 else ".png"
        path = self.root / FOLDERS[a % len(FOLDERS)] / f"{b % 40:02}{suffix}"
        self._write(path, self.content(c % 500, bool(b % 2)), a)
        while len(files := self.files()) > MOST:
            files[c % len(files)].unlink()

    def modify(self, a: int, b: int, c: int) -> None:
        """Other bytes in a file that is there."""
        if path := self._one(a):
            self._write(path, self.content(b % 500, path.suffix == ".bmp"), c)

    def sneak(self, a: int, b: int, c: int) -> None:
        """Other bytes of equal size, and the time put back."""
        if (path := self._one(a)) and path.suffix == ".bmp":
            status = path.stat()
            data = self.content(b % 500, True)
            if c % 4 == 0:
                data = b"\0" * status.st_size
            path.write_bytes(data)
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def damage(self, a: int, b: int, c: int) -> None:
        """A picture is cut off, or becomes something else."""
        if path := self._one(a):
            whole = path.read_bytes()
            self._write(path, whole[: len(whole) // 3] if b % 2 else b"no picture", c)

    def touch(self, a: int, b: int, c: int) -> None:
        """Another time, mostly back; the same bytes."""
        if path := self._one(a):
            ns = path.stat().st_mtime_ns + (b % 200 - 150) * 10**9 + c % 1000
            os.utime(path, ns=(ns, ns))

    def delete(self, a: int, b: int, c: int) -> None:
        """A file is deleted."""
        if path := self._one(a):
            path.unlink()

    def rename(self, a: int, b: int, c: int) -> None:
        """A file is moved, perhaps over another."""
        if path := self._one(a):
            target = self.root / FOLDERS[b % len(FOLDERS)] / f"{c % 60:02}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)

    def swap(self, a: int, b: int, c: int) -> None:
        """Two files swap names."""
        one, other = self._one(a), self._one(b)
        if one and other and one != other:
            aside = self.root / "aside"
            one.replace(aside)
            other.replace(one)
            aside.replace(other)

    def copy(self, a: int, b: int, c: int) -> None:
        """A file is copied, with its time or without."""
        if path := self._one(a):
            target = self.root / FOLDERS[b % len(FOLDERS)] / f"{c % 60:02}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            if target != path:
                (shutil.copy2 if b % 2 else shutil.copy)(path, target)

    def rename_folder(self, a: int, b: int, c: int) -> None:
        """A folder is moved, with all below it."""
        one, other = (self.root / FOLDERS[1 + number % (len(FOLDERS) - 1)] for number in (a, b))
        if one.is_dir() and not other.exists() and other.parent.is_dir() and one != other.parent:
            one.rename(other)

    def delete_folder(self, a: int, b: int, c: int) -> None:
        """A folder is deleted, with all below it; not often."""
        if b % 4 == 0:
            shutil.rmtree(self.root / FOLDERS[1 + a % (len(FOLDERS) - 1)], ignore_errors=True)
