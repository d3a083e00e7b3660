"""What tests of the page share: a Chromium that is there already, a server as a process of its own,
and a visit that remembers what went wrong in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SLOWLY = 60_000
"""Milliseconds until something must be there, on a machine that has much to do."""

expect.set_options(timeout=SLOWLY)

DROP = """([zone, files]) => {
  const carried = new DataTransfer();
  for (const [name, type, data] of files) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name, { type }));
  }
  const options = { bubbles: true, cancelable: true };
  if (zone === "paste") {
    const event = new ClipboardEvent("paste", { ...options, clipboardData: carried });
    document.body.dispatchEvent(event);
    return;
  }
  const at = document.querySelector(zone);
  for (const event of ["dragenter", "dragover", "drop"]) {
    at.dispatchEvent(new DragEvent(event, { ...options, dataTransfer: carried }));
  }
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; skips the test where there is none."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: install it, or say where it is in CHROMIUM")
    arguments = [*QUIET, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@dataclass
class Visit:
    """Pages of a browser, each in a context of its own, and what went wrong in them."""

    browser: Browser
    said: list[str] = field(default_factory=list)
    """Errors and warnings of the console, such as of responses that are no success."""
    faults: list[str] = field(default_factory=list)
    """Exceptions that nobody caught, and requests to other origins."""

    def open(self, url: str, clock: bool = False, **options: Any) -> Page:
        """The page at `url`; `clock`: its time is what the test says."""
        origin = url.partition("#")[0]
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = self.browser.new_context(base_url=origin, **options)
        context.set_default_timeout(SLOWLY)
        page = context.new_page()
        if clock:
            page.clock.install()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._check(request.url, origin))
        page.goto(url)
        return page

    def close(self) -> None:
        """All of them."""
        for context in self.browser.contexts:
            context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.type}: {message.text}")

    def _check(self, url: str, origin: str) -> None:
        if not url.startswith((origin, f"blob:{origin}")):
            self.faults.append(f"request elsewhere: {url}")


def give(page: Page, zone: str, *files: tuple[str, str, bytes]) -> None:
    """Drop files, each a name, a media type and its bytes, at a selector; or "paste" them."""
    coded = [(name, kind, b64encode(data).decode()) for name, kind, data in files]
    page.evaluate(DROP, [zone, coded])


def cards(page: Page) -> Locator:
    """The pictures that the page shows."""
    return page.locator("#grid > .card")


def ids(page: Page) -> list[str]:
    """Of the pictures that the page shows, in order."""
    return page.eval_on_selector_all(
        "#grid .search-link", "links => links.map(link => /like=([0-9a-f]{64})/.exec(link.hash)[1])"
    )


def wait_for_hits(page: Page) -> None:
    """Wait until the page shows hits."""
    expect(page.locator("#status .unseen")).to_contain_text("lookalike")
    expect(page.locator("#main")).not_to_have_attribute("aria-busy", "true")


class Server:
    """`tll-index serve`, a process of its own, over a store that `build` made."""

    def __init__(self, home: Path, store: Path) -> None:
        """`home`: TLL_HOME."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TLL_")}
        self._environment = {**kept, "TLL_HOME": str(home)}
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def build(self, *arguments: object) -> None:
        """Bring the store in step with folders."""
        command = self._command("build", *arguments)
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def start(self, *arguments: object, port: int = 0, **environment: str) -> str:
        """Serve; the address."""
        self._process = subprocess.Popen(
            self._command("serve", "--quiet", "--port", port, *arguments),
            env=self._environment | environment,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        return self.url

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.split(":")[2].split("/")[0])

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate(timeout=500)
            self._process = None

    def _command(self, verb: str, *arguments: object) -> list[str]:
        said = [sys.executable, HERE / "tiny.py", verb, *arguments, "--store", self._store]
        return list(map(str, said))
