"""The page when things go wrong or change: refused pictures, a server that stops and comes back,
files that vanish, a store that is empty or grows, a token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from chromium import Server, Visit, cards, chromium, give, ids, wait_for_hits
from pictures import encoded, fill_folder, noise
from tll_index import Recipe, build

pytestmark = pytest.mark.browser

TOKEN = "k" * 20
OUTSIDER = ("door.png", "image/png", encoded(noise(1000), "PNG"))
NEXT_POLL = 11_000
"""Milliseconds, after which the page has asked the server again."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    visit = Visit(browser)
    yield visit
    visit.close()
    assert not visit.faults


@pytest.fixture
def server(here: Path, home: Path, browser: Browser) -> Iterator[Server]:
    """Over twelve drawn pictures in the folder `photos`; not started yet."""
    fill_folder(here / "photos", 12)
    build(["photos"], recipe=Recipe("tiny", lens="none"))
    server = Server(home, here / ".tll-index")
    yield server
    server.stop()


def test_a_server_that_stops_and_comes_back(server: Server, visit: Visit) -> None:
    """What was dropped is uploaded again, without a word, to a server that never saw it."""
    page = visit.open(server.start())
    expect(cards(page)).to_have_count(12)
    give(page, "#hero", OUTSIDER)
    wait_for_hits(page)
    found = ids(page)
    port = server.port
    server.stop()
    cards(page).nth(1).click()
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text("The server doesn't answer")
    expect(cards(page)).to_have_count(0)  # of another query
    page.go_back()  # what was on show is still there
    wait_for_hits(page)
    assert ids(page) == found
    expect(trouble).to_be_empty()
    server.start(port=port)
    cards(page).nth(2).hover()
    cards(page).nth(2).locator(".action.like").click()
    page.wait_for_url(f"**/#like=own-1,{found[2]}")
    wait_for_hits(page)
    expect(page.locator(".query-item")).to_have_count(2)
    expect(trouble).to_be_empty()
    page.reload()  # now the picture is gone from here as well
    expect(trouble).to_contain_text("give it again")
    page.get_by_role("button", name="Remove A picture that is gone").click()
    wait_for_hits(page)
    expect(trouble).to_be_empty()


def test_what_is_refused_is_said(server: Server, visit: Visit) -> None:
    page = visit.open(server.start("--max-upload", 1))
    expect(cards(page)).to_have_count(12)
    trouble = page.get_by_role("alert")
    give(page, "#hero", ("notes.txt", "text/plain", b"no picture"))
    expect(trouble).to_contain_text("notes.txt: the picture ")
    expect(page.locator("#hero")).to_be_visible()
    expect(page.locator("#status")).to_be_empty()
    trouble.get_by_role("button", name="Close").click()
    expect(trouble).to_be_empty()
    give(page, "#hero", ("notes.txt", "text/plain", b"no picture"), OUTSIDER)
    expect(trouble).to_contain_text("notes.txt")  # and the other one is searched with
    wait_for_hits(page)
    expect(page.locator(".query-item .name")).to_have_text("door.png")
    before = page.url
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    give(page, "body", ("large.bmp", "image/bmp", bytes((1 << 20) + 1)))
    expect(trouble).to_contain_text("large.bmp has 1.0 MiB; the server takes 1.0 MiB at most")
    assert page.url == before and not [url for url in requests if "/api/uploads" in url]
    give(page, "body", *[(f"{n}.png", "image/png", encoded(noise(n), "PNG")) for n in range(17)])
    expect(trouble).to_contain_text("16 pictures at most")
    expect(page.locator(".query-item")).to_have_count(12 + 4)  # twelve of them are indexed


def test_a_file_that_vanished(server: Server, visit: Visit, here: Path) -> None:
    (here / "photos/picture0003.png").unlink()
    page = visit.open(server.start())
    expect(page.locator(".missing")).to_have_text("picture0003.png can't be shown")
    gone = page.locator(".card", has=page.locator(".missing"))
    gone.click()  # it can be searched with all the same
    wait_for_hits(page)
    expect(cards(page)).to_have_count(11)


def test_a_store_that_is_empty_and_grows(server: Server, visit: Visit, here: Path) -> None:
    for path in sorted((here / "photos").iterdir()):
        path.unlink()
    build(["photos"], allow_empty=True)
    page = visit.open(server.start(), clock=True)
    expect(page.locator("#nothing")).to_contain_text("Nothing is indexed yet")
    fill_folder(here / "photos", 5)
    build(["photos"])
    page.clock.run_for(NEXT_POLL)
    expect(cards(page)).to_have_count(5)  # by itself
    cards(page).first.click()
    wait_for_hits(page)
    fill_folder(here / "photos", 3, first=50)
    build(["photos"])
    page.clock.run_for(NEXT_POLL)
    news = page.get_by_role("button", name="3 new pictures")
    expect(news).to_be_visible()
    expect(cards(page)).to_have_count(4)  # nothing moves below one's eyes
    news.click()
    expect(cards(page)).to_have_count(7)
    expect(news).to_be_hidden()


def test_a_token(server: Server, visit: Visit) -> None:
    url = server.start(TLL_TOKEN=TOKEN)
    assert url.endswith(f"#token={TOKEN}")
    page = visit.open(url)
    expect(cards(page)).to_have_count(12)
    assert TOKEN not in page.url
    give(page, "#hero", OUTSIDER)
    wait_for_hits(page)
    other = visit.open(url.partition("#")[0])  # without it, and without the cookie
    expect(other.locator("#token")).to_be_visible()
    other.get_by_role("textbox", name="Token").fill("wrong")
    other.keyboard.press("Enter")
    expect(other.locator("#token-says")).to_have_text("That is not the token.")
    other.get_by_role("textbox", name="Token").fill(TOKEN)
    other.keyboard.press("Enter")
    expect(other.locator("#token")).to_be_hidden()
    expect(cards(other)).to_have_count(12)
