"""Stores of pictures at addresses: built, brought in step, asked. Real hosts: S3's API, the web."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Result
from pictures import encoded, fill_folder, noise
from remote_hosts import Website, s3, website
from tll_index import BuildReport, Recipe, Store, build
from tll_index.core.errors import MissingPictureError, TllError, UsageError
from tll_index.engine.remote import fsspec_io as remote
from tll_index.engine.remote.backoff import Outages
from tll_index.indexer.scan.remote_walk import AddressWalk, walk_of
from tll_index.indexer.scan.walk import Rules, Walk
from tll_index.web.pictures.originals import original

for needed in ("aiohttp", "s3fs", "moto", "flask"):
    pytest.importorskip(needed)

TINY = Recipe(backbone="tiny")
_COUNTS = ("added", "updated", "unchanged", "removed", "embedded")


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with s3() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Work on the bucket `pics`, which is empty."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setattr(remote, "_outages", Outages())
    monkeypatch.setattr(remote, "_shared", {})  # those of another endpoint
    import s3fs

    system = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    if system.exists("pics"):
        system.rm("pics", recursive=True)
    system.mkdir("pics")
    return system


@pytest.fixture
def site(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    """Serves the folder `www`."""
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setattr(remote, "_outages", Outages())
    (here / "www").mkdir()
    with website(here / "www") as site:
        yield site


def counts(report: BuildReport) -> dict[str, int]:
    return {name: n for name in _COUNTS if (n := getattr(report, name))}


def paths(store: str = "s.tll") -> list[str]:
    with Store.open(store) as opened, opened.catalog.reading() as reader:
        numbers = reader.image_numbers().tolist()
        return sorted(path.decode() for number in numbers for path in reader.paths_of(number))


def png(seed: int) -> bytes:
    return encoded(noise(seed), "PNG")


def test_a_bucket(bucket: Any, here: Path) -> None:
    bucket.pipe({f"pics/p/{n}.png": png(n) for n in range(3)} | {"pics/p/sub/x/9.png": png(9)})
    bucket.pipe(
        {"pics/p/": b"", "pics/p/bad.png": b"no", "pics/p/note.txt": b"", "pics/pp/8.png": png(8)}
    )
    bucket.pipe({"pics/p/.hidden/7.png": png(7), "pics/p/no/6.png": png(6)})
    rules = Rules(exclude=("no",))
    first = build(["s3://pics/p/"], store="s.tll", recipe=TINY, rules=rules)
    assert counts(first) == {"added": 4, "embedded": 4}
    assert first.reasons() == {"not a picture": 1}
    indexed = [
        "s3://pics/p/0.png",
        "s3://pics/p/1.png",
        "s3://pics/p/2.png",
        "s3://pics/p/sub/x/9.png",
    ]
    assert paths() == indexed

    assert counts(build(store="s.tll", rules=rules)) == {"unchanged": 4}

    bucket.pipe({"pics/p/1.png": png(21), "pics/p/new.png": png(22), "pics/p/copy.png": png(2)})
    bucket.rm("pics/p/sub", recursive=True)
    third = build(["s3://pics/p"], store="s.tll", rules=rules)
    assert counts(third) == {"added": 2, "updated": 1, "unchanged": 2, "removed": 1, "embedded": 2}
    assert paths() == sorted([*indexed[:3], "s3://pics/p/new.png", "s3://pics/p/copy.png"])


def test_unchanged_files_are_not_read(site: Website, here: Path) -> None:
    fill_folder(here / "www/p", 3)
    fill_folder(here / "www/p/my folder", 1, 10)
    fill_folder(here / "www/elsewhere", 1, 20)
    for path in (here / "www").rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    root = f"{site.address}/p"
    assert counts(build([root], store="s.tll", recipe=TINY)) == {"added": 4, "embedded": 4}
    assert f"{root}/my%20folder/picture0010.png" in paths()
    assert not [path for _, path in site.requests if path.startswith("/elsewhere")]

    site.requests.clear()
    assert counts(build(store="s.tll")) == {"unchanged": 4}
    assert site.gets() == ["/p/", "/p/my%20folder/"]

    noise(30).save(here / "www/p/picture0001.png")
    (here / "www/p/picture0002.png").unlink()
    found = counts(build(store="s.tll"))
    assert found == {"updated": 1, "unchanged": 3 - 1, "removed": 1, "embedded": 1}


def test_without_a_mark_or_time_files_are_read_each_time(site: Website) -> None:
    site.responses["/"] = 200, {"Content-Type": "text/html"}, b"<a href='a.png'>"
    site.responses["/a.png"] = 200, {}, png(1)
    assert counts(build([site.address], store="s.tll", recipe=TINY)) == {"added": 1, "embedded": 1}
    site.requests.clear()
    assert counts(build(store="s.tll")) == {"unchanged": 1}
    assert "/a.png" in site.gets()
    site.responses["/a.png"] = 200, {"ETag": '"1"'}, png(1)
    assert counts(build(store="s.tll")) == {"unchanged": 1}
    site.requests.clear()
    assert counts(build(store="s.tll")) == {"unchanged": 1}
    assert "/a.png" not in site.gets()


@pytest.mark.parametrize("status", [503, 302, 200])
def test_what_cant_be_listed_is_kept(site: Website, here: Path, status: int) -> None:
    """Neither a folder that fails nor an empty page at the root loses pictures."""
    fill_folder(here / "www/p/a", 2)
    fill_folder(here / "www/p/b", 2, 10)
    root = f"{site.address}/p"
    build([root], store="s.tll", recipe=TINY)
    before = paths()
    failing = "/p/" if status == 200 else "/p/a/"
    site.responses[failing] = status, {"Location": "http://login.invalid/"}, b""
    fill_folder(here / "www/p/b", 1, 20)
    report = build(store="s.tll")
    assert not report.removed and set(before) <= set(paths())
    assert report.skipped[0].path.decode() == f"{site.address}{failing}".rstrip("/")
    if status == 200:
        assert "--allow-empty" in report.skipped[0].message
        assert build(store="s.tll", allow_empty=True).removed == 4
    else:
        assert counts(report)["added"] == 1
        del site.responses[failing]
        (here / "www/p/a/picture0000.png").unlink()
        assert build(store="s.tll").removed == 1


def test_a_host_that_is_gone_is_said_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    fill_folder(here / "www", 3)
    fill_folder(here / "disk", 1, 10)
    with website(here / "www") as site:
        build([site.address, "disk"], store="s.tll", recipe=TINY)
    fill_folder(here / "disk", 2, 11)
    report = build(store="s.tll")
    assert counts(report) == {"added": 2, "unchanged": 1, "embedded": 2}
    assert [(one.path.decode(), one.message) for one in report.skipped] == [
        (site.address, "can't be listed: its host can't be reached")
    ]
    assert len(paths()) == 6
    with pytest.raises(TllError, match="can't be reached"):
        build([site.address], store="s.tll")


def test_a_picture_that_fails_is_tried_again(site: Website, here: Path) -> None:
    fill_folder(here / "www", 2)
    site.responses["/picture0001.png"] = 500, {}, b""
    report = build([site.address], store="s.tll", recipe=TINY)
    assert counts(report) == {"added": 1, "embedded": 1}
    assert report.reasons() == {"unreadable": 1}
    del site.responses["/picture0001.png"]
    assert counts(build(store="s.tll"))["added"] == 1


def test_a_bucket_that_is_gone_is_kept(bucket: Any, here: Path) -> None:
    bucket.pipe({"pics/p/1.png": png(1), "pics/q/2.png": png(2)})
    build(["s3://pics/p", "s3://pics/q"], store="s.tll", recipe=TINY)
    bucket.rm("pics/p", recursive=True)
    assert "--allow-empty" in build(store="s.tll").skipped[0].message
    assert len(paths()) == 2
    assert build(store="s.tll", allow_empty=True).removed == 1
    with Store.open("s.tll") as store:
        assert store.roots() == [b"s3://pics/q"]  # with nothing left below it, one is forgotten
    with pytest.raises(TllError, match="does not exist"):
        build(["s3://pics/p"], store="s.tll")


def test_an_address_without_pictures_stays_a_root(bucket: Any, here: Path) -> None:
    bucket.pipe({"pics/p/1.png": png(1), "pics/q/note.txt": b"soon"})
    build(["s3://pics/p", "s3://pics/q"], store="s.tll", recipe=TINY)
    bucket.pipe("pics/q/2.png", png(2))
    assert build(store="s.tll").added == 1


def test_roots_below_each_other(bucket: Any, here: Path) -> None:
    bucket.pipe({"pics/p/1.png": png(1), "pics/p/q/2.png": png(2)})
    report = build(["s3://pics/p", "s3://pics/p/q", "s3://pics/p//q/"], store="s.tll", recipe=TINY)
    assert counts(report) == {"added": 2, "embedded": 2}
    bucket.rm("pics/p/q", recursive=True)
    assert build(store="s.tll").removed == 1


def test_pictures_move_from_disk_to_an_address(bucket: Any, here: Path) -> None:
    first, second = fill_folder(here / "disk", 2)
    build(["disk"], store="s.tll", recipe=TINY)
    bucket.put(str(first), "pics/p/1.png")
    first.unlink()
    report = build(["disk", "s3://pics/p"], store="s.tll", recipe=TINY)
    assert (report.moved, report.embedded) == (1, 0)
    assert paths() == [str(second), "s3://pics/p/1.png"]


def test_files_of_this_machine_are_paths(here: Path) -> None:
    fill_folder(here / "my photos", 2)
    address = f"file://{here}/my%20photos/"
    assert build([address], store="s.tll", recipe=TINY).added == 2
    assert paths()[0] == str(here / "my photos/picture0000.png")
    assert counts(build(["my photos"], store="s.tll")) == {"unchanged": 2}


def test_walks_are_alike(bucket: Any, site: Website, here: Path) -> None:
    """Of the same files on disk, in a bucket and on the web, three walks find the same, in the same
    order."""
    fill_folder(here / "www/p", 2)
    fill_folder(here / "www/p/b/c", 1)
    fill_folder(here / "www/p/a", 1)
    fill_folder(here / "www/p/.git", 1)
    (here / "www/p/a/x.TXT").touch()
    shutil.copy(here / "www/p/picture0000.png", here / "www/p/Z.PNG")
    bucket.put(str(here / "www/p"), "pics/p", recursive=True)
    for rules in (Rules(), Rules(hidden=True), Rules(exclude=("b/*", "*1.png"))):
        seen = []
        for root in (str(here / "www/p"), "s3://pics/p", f"{site.address}/p"):
            walk = walk_of(root.encode(), rules, frozenset([root.encode() + b"/a"]))
            seen.append([(one.path[len(root) :], list(one.files), one.complete) for one in walk])
            assert not walk.unknown and not walk.is_empty and not walk.is_missing
            assert isinstance(walk, AddressWalk) is (root != str(here / "www/p"))
            assert not walk.covers(root.encode() + b"/a/x.png")
        assert seen[0] == seen[1] == seen[2]
    missing = walk_of(b"s3://pics/none", Rules(), frozenset())
    assert (list(missing), missing.is_missing) == ([], True)
    assert type(walk_of(b"/x", Rules(), frozenset())) is Walk


def test_names_that_are_no_names(bucket: Any, here: Path) -> None:
    """A bucket may hold what no folder could."""
    long = "x" * 600 + ".png"
    keys = [
        "pics/p/ü #%41+&.png",
        f"pics/p/{long}",
        "pics/p/3.png/4.png",
    ]
    bucket.pipe({key: png(number) for number, key in enumerate(keys)})
    report = build(["s3://pics/p"], store="s.tll", recipe=TINY)
    assert paths() == ["s3://pics/p/3.png/4.png", "s3://pics/p/ü #%41+&.png"]
    assert [one.message for one in report.skipped] == ["its name is too long to be indexed"]


@pytest.mark.slow
def test_what_answers_are_made_of(
    bucket: Any, here: Path, tll_index: Callable[..., Result]
) -> None:
    """query, html, sheets, why, verify, dupes, forget: all read through the same reader."""
    bucket.pipe({f"pics/p/{n}.png": png(n) for n in range(4)} | {"pics/p/same.png": png(3)})
    assert tll_index("build", "s3://pics/p", "--backbone", "tiny").code == 0
    asked = tll_index(
        "query", "s3://pics/p/2.png", "--paths", "--html", "x.html", "--sheet", "x.png"
    )
    assert asked.code == 0 and len(asked.out.split()) == 3
    assert (here / "x.html").read_text().count("data:image") == 4
    weighed = tll_index(
        "query", "--plus", "s3://pics/p/2.png=0.5", "--filter", "s3://pics/p/1*", "--paths"
    )
    assert weighed.out == "s3://pics/p/1.png\n"
    assert tll_index("verify", "--deep").code == 0
    groups = [json.loads(line) for line in tll_index("dupes", "--json").out.splitlines()]
    assert [[copy["path"] for copy in group["copies"]] for group in groups] == [
        ["s3://pics/p/3.png", "s3://pics/p/same.png"]
    ]
    bucket.pipe("pics/p/1.png", png(40))
    assert "s3://pics/p/1.png" in tll_index("verify", "--deep").out
    forgot = tll_index("forget", "s3://pics/p/0.png", "s3://pics/p/2.png")
    assert forgot.code == 0 and "still there: 2 files (" in forgot.out + forgot.err
    bucket.rm("pics/p/3.png")
    assert "still there" not in str(tll_index("forget", "s3://pics/p/3.png"))


def test_originals_of_addresses(site: Website, here: Path) -> None:
    """What serve sends is what was indexed, from indexed addresses only."""
    file = fill_folder(here / "www", 2)[0]
    build([site.address], store="s.tll", recipe=TINY)
    with Store.open("s.tll") as store:
        picture = store.picture(hashlib.sha256(file.read_bytes()).hexdigest())
    site.requests.clear()
    assert original(picture) == file.read_bytes()
    assert site.requests == [("GET", "/picture0000.png")]
    file.write_bytes(png(50))
    with pytest.raises(MissingPictureError):
        original(picture)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["build", "zzz://x/y"], 2, "s3, gs"),
        (["build", "s3://AKIAME:hunter2@bucket/x"], 2, "AWS_ACCESS_KEY_ID"),
        (["query", "s3://AKIAME:hunter2@bucket/x.jpg"], 2, "AWS_ACCESS_KEY_ID"),
        (["query", "https://b.invalid/x.jpg?X-Amz-Signature=hunter2"], 2, "signed"),
        (["build", "https://b.invalid/x?sig=hunter2"], 2, "query string"),
        (["forget", "https://me:hunter2@b.invalid/x.jpg"], 2, "~/.netrc"),
        (["build", "http://127.0.0.1:9/x"], 1, "can't be reached"),
        (["build", "s3://"], 2, "name a host or bucket"),
        (["watch", "s3://pics/p"], 2, "--poll"),
    ],
)
def test_errors_say_what_to_do(
    here: Path, tll_index: Callable[..., Result], arguments: list[str], code: int, says: str
) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=".tll-index", recipe=TINY)
    result = tll_index(*arguments)
    assert result.code == code and says in result.err
    assert "hunter2" not in result.out + result.err and "Traceback" not in result.err


def test_no_credentials(here: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(here / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(remote, "_shared", {})
    with pytest.raises(TllError, match=r"no credentials were found; set AWS_ACCESS_KEY_ID"):
        build(["s3://pics/p"], store="s.tll", recipe=TINY)


def test_a_watch_of_an_address_polls(site: Website, here: Path, spawn: Callable[..., Any]) -> None:
    fill_folder(here / "www", 1)
    arguments = ("--backbone", "tiny", "--poll", "0.2", "--json")
    process = spawn("watch", site.address, *arguments)
    assert json.loads(process.stdout.readline())["added"] == 1
    fill_folder(here / "www", 1, 5)
    assert json.loads(process.stdout.readline())["added"] == 1


def test_usage(here: Path) -> None:
    with pytest.raises(UsageError, match="chained"):
        build(["zip://a.zip::s3://b"], store="s.tll", recipe=TINY)


def test_a_build_lists_each_folder_once(site: Website, here: Path) -> None:
    """Not once to count, once to read and once more to sweep: of a bucket each is a full
    listing."""
    fill_folder(here / "www/p", 3)
    fill_folder(here / "www/p/a", 2, 10)
    fill_folder(here / "www/p/b", 1, 20)
    for path in (here / "www").rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    root = f"{site.address}/p"
    folders = ["/p/", "/p/a/", "/p/b/"]

    def listings(**options: Any) -> list[str]:
        site.requests.clear()
        build([root], store="s.tll", recipe=TINY, **options)
        return [path for path in site.gets() if path.endswith("/")]

    assert listings() == folders
    assert listings() == folders
    noise(30).save(here / "www/p/new.png")
    (here / "www/p/picture0002.png").unlink()
    shutil.rmtree(here / "www/p/b")
    assert listings(dry_run=True) == folders[:2]
    assert listings() == folders[:2]
    assert [path.removeprefix(root) for path in paths()] == [
        *("/a/picture0010.png", "/a/picture0011.png"),
        *("/new.png", "/picture0000.png", "/picture0001.png"),
    ]


def test_a_bucket_is_listed_once(bucket: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    listed = remote._listed

    def noted(system: Any, text: str, wanted: Any) -> Any:
        asked.append(text)
        return listed(system, text, wanted)

    monkeypatch.setattr(remote, "_listed", noted)
    bucket.pipe({"pics/p/1.png": png(1), "pics/p/q/2.png": png(2), "pics/p/q/3.png": png(3)})
    build(["s3://pics/p"], store="s.tll", recipe=TINY)
    assert asked == ["s3://pics/p", "s3://pics/p/q"]
    asked.clear()
    bucket.rm("pics/p/q/3.png")
    bucket.pipe("pics/p/4.png", png(4))
    report = build(["s3://pics/p"], store="s.tll", recipe=TINY)
    assert counts(report) == {"added": 1, "unchanged": 2, "removed": 1, "embedded": 1}
    assert asked == ["s3://pics/p", "s3://pics/p/q"]
