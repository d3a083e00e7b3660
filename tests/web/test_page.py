"""The page in a real Chromium, over a served store: of TLL pictures and the bundled backbone where
they are there, of drawn ones and the tiny backbone elsewhere."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import tiny
from chromium import Server, Visit, cards, chromium, give, ids, wait_for_hits
from conftest import TLL_ROOT
from pictures import encoded, fill_folder, noise

# The first of them has a store built with a real backbone.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

EACH = 40
"""Pictures in either of the two folders."""
PAGE = 30
PHONE_SCREEN = {"width": 390, "height": 844}
PHONE = {"viewport": PHONE_SCREEN, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@dataclass(frozen=True)
class Gallery:
    """What is served where, and a picture that is not in it."""

    url: str
    pictures: Path
    outsider: tuple[str, str, bytes]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def gallery(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, furnished: Path
) -> Iterator[Gallery]:
    here = tmp_path_factory.mktemp("page")
    pictures = here / "pictures"
    tiny.furnish(here / "home", furnished)
    server = Server(here / "home", here / "page.tll")
    if (TLL_ROOT / "train.csv").is_file():
        for side in ("left", "right"):
            (pictures / side).mkdir(parents=True)
            for path in sorted((TLL_ROOT / "train" / side).iterdir())[:EACH]:
                shutil.copy(path, pictures / side)
        outsider = sorted((TLL_ROOT / "train/left").iterdir())[EACH].read_bytes()
        server.build(pictures)
    else:
        for number, side in enumerate(("left", "right")):
            fill_folder(pictures / side, EACH, first=EACH * number)
        outsider = encoded(noise(1000, 200, 245), "JPEG")
        server.build(pictures, "--backbone", "tiny", "--lens", "none")
    try:
        yield Gallery(server.start(), pictures, ("door.jpg", "image/jpeg", outsider))
    finally:
        server.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Fails the test when anything is wrong with it afterwards."""
    visit = Visit(browser)
    yield visit
    visit.close()
    assert not visit.faults and not visit.said


def api_hits(page: Page, **query: Any) -> list[dict[str, Any]]:
    """What the API itself finds."""
    response = page.request.post("api/query", data=query)
    assert response.ok, response.text()
    return response.json()["hits"]


def like(page: Page) -> list[str]:
    """The ids in the address."""
    return re.findall("[0-9a-f]{64}", page.url.partition("like=")[2].partition("&")[0])


def shot(page: Page, name: str, tmp_path: Path) -> Path:
    """A picture of the page, in the folder that SCREENSHOTS names."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_function(
        "() => [...document.querySelectorAll('#grid img')].slice(0, 8).every(one => one.complete)"
    )
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    return path


def test_drop_a_picture_and_look_on_twice(visit: Visit, gallery: Gallery, tmp_path: Path) -> None:
    page = visit.open(gallery.url)
    expect(page.locator("#collection")).to_contain_text(f"{2 * EACH} pictures")
    give(page, "#hero", gallery.outsider)
    wait_for_hits(page)
    assert page.title() == "Lookalikes of door.jpg · tll-index"
    expect(page.locator("#status .unseen")).to_have_text("30 lookalikes of door.jpg")
    assert cards(page).count() >= 10
    said = page.locator("#grid .likeness b").all_text_contents()[:10]
    scores = [float(one.replace("−", "-")) for one in said]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    bars = page.locator("#grid .bar").evaluate_all(
        "bars => bars.slice(0, 10).map(one => one.style.getPropertyValue('--share'))"
    )
    assert [float(one) for one in bars] == pytest.approx([max(0, one) for one in scores], abs=0.006)
    for index in (0, 1):
        chosen = ids(page)[index]
        cards(page).nth(index).click()
        page.wait_for_url(f"**/#like={chosen}")
        wait_for_hits(page)
        expect(page.locator(".query-item")).to_have_attribute("data-ref", chosen)
        hits = api_hits(page, like=[{"id": chosen}], limit=PAGE)
        assert ids(page)[:PAGE] == [hit["id"] for hit in hits] and chosen not in ids(page)
    picture = shot(page, "looked_on", tmp_path)
    assert picture.stat().st_size > 50_000  # with thumbnails, not an empty page


def test_paste_and_pick(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    expect(cards(page).first).to_be_visible()
    give(page, "paste", gallery.outsider)
    wait_for_hits(page)
    expect(page.locator(".query-item .name")).to_have_text("door.jpg")
    first, second = (sorted((gallery.pictures / side).iterdir())[0] for side in ("left", "right"))
    page.locator("#pick").set_input_files([first, second])
    expect(page.locator(".query-item")).to_have_count(2)
    wait_for_hits(page)
    known = like(page)  # both are indexed: so their ids, which the address can hold
    assert len(known) == 2
    hits = api_hits(page, like=[{"id": one} for one in known], limit=PAGE)
    assert ids(page)[:PAGE] == [hit["id"] for hit in hits]
    with page.expect_file_chooser() as chooser:
        page.locator(".add").click()
    chooser.value.set_files(
        {"name": "third.jpg", "mimeType": "image/jpeg", "buffer": gallery.outsider[2]}
    )
    expect(page.locator(".query-item")).to_have_count(3)
    expect(page.locator(".query-item .name").last).to_have_text("third.jpg")


def test_drop_beside_says_more_or_less(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    cards(page).first.click()
    wait_for_hits(page)
    give(page, "#zones [data-zone=unlike]", gallery.outsider)
    expect(page.locator(".query-item.unlike .name")).to_have_text("door.jpg")
    expect(page.locator(".query-item")).to_have_count(2)
    expect(page.locator("#zones")).to_be_hidden()


def test_more_like_this_less_like_that(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    cards(page).first.click()
    wait_for_hits(page)
    (first,), more, less = like(page), *(ids(page)[place] for place in (2, 5))
    cards(page).nth(2).hover()
    cards(page).nth(2).locator(".action.like").click()
    page.wait_for_url(f"**/#like={first},{more}")
    wait_for_hits(page)
    place = ids(page).index(less)
    cards(page).nth(place).hover()
    cards(page).nth(place).locator(".action.unlike").click()
    page.wait_for_url(f"**&unlike={less}")
    wait_for_hits(page)
    page.get_by_role("combobox", name="How much").nth(1).select_option("2")
    page.wait_for_url(f"**/#like={first},{more}*2&unlike={less}")
    wait_for_hits(page)
    hits = api_hits(
        page, like=[{"id": first}, {"id": more, "weight": 2}], unlike=[{"id": less}], limit=PAGE
    )
    assert ids(page)[:PAGE] == [hit["id"] for hit in hits]
    page.locator(".query-item").nth(2).get_by_role("button", name="More like").click()
    page.wait_for_url(f"**/#like={first},{more}*2,{less}")
    page.locator(".query-item").nth(0).get_by_role("button", name="Remove").click()
    page.wait_for_url(f"**/#like={more}*2,{less}")
    expect(page.locator(".query-item")).to_have_count(2)


def test_a_folder_only(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    cards(page).first.click()
    wait_for_hits(page)
    page.get_by_label("Folder").select_option("left")
    page.wait_for_url("**&folder=left")
    wait_for_hits(page)
    assert set(page.locator("#grid .folder").all_text_contents()) == {"left"}
    cards(page).first.click()  # looking on stays in the folder
    page.wait_for_url("**&folder=left")
    wait_for_hits(page)
    assert set(page.locator("#grid .folder").all_text_contents()) == {"left"}
    page.get_by_label("Folder").select_option("")
    page.wait_for_url(re.compile("#like=[0-9a-f]{64}$"))
    wait_for_hits(page)
    assert set(page.locator("#grid .folder").all_text_contents()) == {"left", "right"}


def test_pages_until_the_end(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    cards(page).first.click()
    wait_for_hits(page)
    (first,) = like(page)
    while page.locator("#more").is_visible():
        before = cards(page).count()
        page.locator("#more").scroll_into_view_if_needed()  # which is enough
        expect(cards(page).nth(before)).to_be_attached()
    every = [hit["id"] for hit in api_hits(page, like=[{"id": first}], limit=200)]
    assert ids(page) == every and len(set(every)) == 2 * EACH - 1
    expect(page.locator("#status .unseen")).to_contain_text(f"{2 * EACH - 1} lookalikes")


def test_the_way_back(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    expect(cards(page).first).to_be_visible()
    begun = ids(page)
    cards(page).nth(1).click()
    wait_for_hits(page)
    found = ids(page)
    page.mouse.wheel(0, 400)
    page.wait_for_function("() => scrollY > 300")
    cards(page).nth(7).click()
    page.wait_for_url(f"**/#like={found[7]}")
    wait_for_hits(page)
    page.wait_for_function("() => scrollY === 0")
    page.go_back()
    page.wait_for_url(f"**/#like={begun[1]}")
    page.wait_for_function("() => scrollY > 300")  # where one was
    assert ids(page)[: len(found)] == found
    page.go_back()
    expect(page.locator("#hero")).to_be_visible()
    assert ids(page) == begun  # not others
    page.go_forward()
    wait_for_hits(page)
    assert ids(page)[: len(found)] == found
    page.reload()  # an address is enough
    wait_for_hits(page)
    assert ids(page)[:PAGE] == found[:PAGE]
    page.get_by_role("link", name="tll-index").click()
    expect(page.locator("#hero")).to_be_visible()
    link = cards(page).first.locator(".search-link")
    before = link.get_attribute("href")
    page.get_by_role("button", name="Others").click()
    expect(link).not_to_have_attribute("href", before)


def test_a_part_of_a_picture(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    cards(page).first.click()
    wait_for_hits(page)
    (first,) = like(page)
    page.get_by_role("button", name="Search with a part of").click()
    stage = page.locator("#crop-stage")
    expect(page.locator("#crop-picture")).to_have_js_property("complete", True)
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=3)
    page.mouse.up()
    expect(page.locator("#crop-says")).to_have_text("50% × 50%, from 10% across and 20% down")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#crop-says")).to_have_text("50% × 52%, from 12% across and 20% down")
    with page.expect_request(re.compile("/api/uploads")) as request:
        page.get_by_role("button", name="Search with this part").click()
    assert re.search(r"crop=12\.\d+%25%2C20\.\d+%25%2C50\.\d+%25%2C52\.\d+%25$", request.value.url)
    expect(page.locator(".query-item .name")).to_contain_text("part of ")
    wait_for_hits(page)
    width = "async (one) => (await one.decode(), one.naturalWidth)"
    part = page.locator(".query-item img").evaluate(width)
    assert part > 10
    assert first not in page.url
    page.go_back()
    expect(page.locator(".query-item")).to_have_attribute("data-ref", first)


def test_why(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    give(page, "#hero", gallery.outsider)
    wait_for_hits(page)
    cards(page).nth(1).hover()
    cards(page).nth(1).get_by_role("button", name="Why?").click()
    image = page.locator("#why-picture img")
    expect(image).to_have_attribute("alt", re.compile("What door.jpg and .+ share"))
    width, height = image.evaluate(
        "async (one) => (await one.decode(), [one.naturalWidth, one.naturalHeight])"
    )
    assert width > 1.5 * height  # both, side by side
    page.keyboard.press("Escape")
    expect(page.locator("#why")).to_be_hidden()


def test_with_keys_only(visit: Visit, gallery: Gallery) -> None:
    page = visit.open(gallery.url)
    expect(cards(page).first).to_be_visible()
    page.keyboard.press("/")
    expect(page.locator("#hero-choose")).to_be_focused()
    page.keyboard.press("Tab")  # Others
    page.keyboard.press("Tab")
    expect(cards(page).first.locator(".search-link")).to_be_focused()
    page.keyboard.press("ArrowRight")
    second = ids(page)[1]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/#like={second}")
    wait_for_hits(page)
    expect(cards(page).first.locator(".search-link")).to_be_focused()
    found = ids(page)
    page.keyboard.press("ArrowDown")
    assert 2 <= focused(page) < len(found)  # of another row
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    assert focused(page) >= len(found) - 1
    page.keyboard.press("Home")
    page.keyboard.press("+")
    page.wait_for_url(f"**/#like={second},{found[0]}")
    wait_for_hits(page)
    third = ids(page)[0]
    page.keyboard.press("-")
    page.wait_for_url(f"**/#like={second},{found[0]}&unlike={third}")
    wait_for_hits(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="More like this").first).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    with page.context.expect_page() as opened:
        page.keyboard.press("o")
    assert re.search("/api/pictures/[0-9a-f]{64}/file$", opened.value.url)


def focused(page: Page) -> int:
    """Which card the keyboard is on, counted from 0."""
    return page.evaluate(
        "[...document.querySelectorAll('.card')].indexOf(document.activeElement.closest('.card'))"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(visit: Visit, gallery: Gallery, scheme: str, tmp_path: Path) -> None:
    page = visit.open(gallery.url, color_scheme=scheme, **PHONE)
    expect(cards(page).first).to_be_visible()
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    assert page.locator("#photograph").get_attribute("capture") == "environment"
    fits(page)
    cards(page).first.tap()
    wait_for_hits(page)
    fits(page)
    lefts = {round(cards(page).nth(place).bounding_box()["x"]) for place in range(10)}
    assert len(lefts) == 2
    shot(page, f"phone_{scheme}", tmp_path)
    page.get_by_role("button", name="Help").tap()
    fits(page)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground)[:3])) < 60) == (scheme == "dark")


def fits(page: Page) -> None:
    """Nothing to scroll sideways, nothing too small for a finger."""
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_SCREEN["width"]
    small = page.evaluate(
        """[...document.querySelectorAll('button, select, .search-link, a.action, a.brand')]
        .map(one => [one, one.getBoundingClientRect()])
        .filter(([one, box]) => one.checkVisibility() && box.width > 1)
        .filter(([one, box]) => box.width < 44 || box.height < 44)
        .map(([one]) => one.outerHTML.slice(0, 120))"""
    )
    assert not small


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visit, gallery: Gallery, scheme: str) -> None:
    page = visit.open(gallery.url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    expect(cards(page).first).to_be_visible()
    check(page)
    cards(page).first.click()
    wait_for_hits(page)
    cards(page).nth(1).hover()
    cards(page).nth(1).locator(".action.unlike").click()
    page.wait_for_url("**&unlike=*")
    wait_for_hits(page)
    check(page)
    page.get_by_role("button", name="Help").click()
    check(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search with a part of").first.click()
    check(page)


def check(page: Page) -> None:
    """Against axe's rules."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], node["target"], node["failureSummary"])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert not serious


def test_addresses_say_what_they_say(visit: Visit, gallery: Gallery) -> None:
    """query.js by itself: what can be written can be read, what makes no sense is left out."""
    page = visit.open(gallery.url)
    a, b = "a" * 64, "b" * 64
    for address in (
        "#",
        f"#like={a}",
        f"#like={a},{b}*2&unlike=own-3*0.5&text=a%20red%20door&folder=x%2Fy%26z",
        f"#unlike={b}",
    ):
        assert again(page, address) == address
    assert again(page, "#words=a%20red%20door") == "#text=a%20red%20door"  # of 0.1
    assert again(page, f"#like={a},nonsense,{b}*0,{a}*3&unlike=,&x=1") == f"#like={a}*3"


def again(page: Page, address: str) -> str:
    """Read and written."""
    return page.evaluate(
        """async (address) => {
            const query = await import("/static/query.js");
            return query.address(query.parse(address));
        }""",
        address,
    )
