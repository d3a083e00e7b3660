"""Rules of builds, which a store remembers: from one command to the next, and in every copy."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Result
from pictures import encoded, noise
from tll_index.core.errors import StoreDamagedError, StoreMismatchError, UsageError
from tll_index.indexer.backends.metadata import About, read_about
from tll_index.indexer.backends.remembered_rules import remember, remembered
from tll_index.indexer.ingest.build import Recipe, build
from tll_index.indexer.ingest.report import BuildReport
from tll_index.indexer.maintenance.backup import backup
from tll_index.indexer.maintenance.forget import forget
from tll_index.indexer.maintenance.repair import repair
from tll_index.indexer.scan.rules import RootRules, Rules
from tll_index.indexer.store.store import Store
from tll_index.indexer.transfer.copy import copy_store
from tll_index.indexer.transfer.merge import merge

Cli = Callable[..., Result]
STORE = "s.tll"
TINY = Recipe("tiny")
PRIVATE = Rules(("private/",))


@pytest.fixture
def lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "lib"
    for seed, name in enumerate(("private/a.png", "x/b.png", ".hidden/c.png", "x/private/d.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(noise(seed), "PNG"))
    return root


def run(*folders: str, **options: Any) -> BuildReport:
    return build(folders, **{"store": STORE, "recipe": TINY, **options})


def names(store: str = STORE) -> list[str]:
    with Store.open(store) as opened, opened.catalog.reading() as reader:
        numbers = [int(one) for one in reader.image_numbers()]
        return sorted(Path(os.fsdecode(p)).name for n in numbers for p in reader.paths_of(n))


def rules_in(store: str = STORE) -> dict[str, list[str]]:
    with Store.open(store) as opened:
        return dict(opened.info()["rules"])


def test_a_bare_build_does_the_same_again(lib: Path) -> None:
    run("lib", rules=Rules(("private/",), hidden=True))
    assert names() == ["b.png", "c.png"]
    for folders in ((), ("lib",)):
        report = run(*folders)
        assert names() == ["b.png", "c.png"] and not report.embedded and not report.removed
        assert report.rules == {os.fsencode(lib): Rules(("private/",), hidden=True)}
    assert rules_in() == {str(lib): ["--exclude", "private/", "--hidden"]}
    replaced = run("lib", rules=Rules(("x",)))  # in the place of all that was said before
    assert names() == ["a.png"]
    assert replaced.were == {os.fsencode(lib): Rules(("private/",), hidden=True)}
    assert replaced.left_out.indexed == 2  # c.png is hidden again, b.png is in x
    dropped = run(rules=Rules())
    assert names() == ["a.png", "b.png", "d.png"] and not dropped.rules and not rules_in()
    assert run().unchanged == 3


def test_what_is_excluded_stays_so_until_exclude_is_said_again(
    lib: Path, tll_index: Callable[..., Result]
) -> None:
    build = ("build", "lib", "--backbone", "tiny", "--store", STORE)
    assert tll_index(*build, "--exclude", "private/").code == 0
    assert tll_index(*build, "--hidden").code == 0
    assert names() == ["b.png", "c.png"]
    assert rules_in() == {str(lib): ["--exclude", "private/", "--hidden"]}
    assert tll_index(*build, "--system-folders").code == 0  # `hidden` is dropped, as flags are
    assert rules_in() == {str(lib): ["--exclude", "private/", "--system-folders"]}
    shutil.copytree(lib / "private", lib / "new/private")
    assert tll_index("build", "lib/new", "--hidden", "--store", STORE).code == 0
    assert names() == ["b.png"]  # in a folder with patterns, these hold
    assert tll_index(*build, "--exclude", "x").code == 0
    assert "a.png" in names()


def test_what_is_excluded_now_leaves_and_comes_back(lib: Path) -> None:
    run("lib")
    gone = run("lib", rules=PRIVATE)
    assert (gone.removed, gone.left_out.indexed, gone.left_out.unused) == (2, 2, {})
    run("lib", rules=Rules())
    assert names() == ["a.png", "b.png", "d.png"]


def test_each_folder_has_its_own(lib: Path) -> None:
    shutil.copytree(lib, lib.parent / "other")
    (lib.parent / "other/y.png").write_bytes(encoded(noise(77), "PNG"))
    run("lib", rules=PRIVATE)
    run("other")
    assert names() == ["a.png", "b.png", "b.png", "d.png", "y.png"]
    run()
    assert names() == ["a.png", "b.png", "b.png", "d.png", "y.png"]
    run(rules=Rules(("x",)))  # without folders, of all of them
    assert names() == ["a.png", "a.png", "y.png"]


def test_folders_in_folders_with_rules(lib: Path) -> None:
    run("lib/private")
    run("lib", rules=PRIVATE)  # which leaves out what was built from before
    assert names() == ["b.png"] and rules_in() == {str(lib): ["--exclude", "private/"]}
    run()
    assert names() == ["b.png"]
    run("lib/x")  # new, in a folder with rules: they hold there
    assert names() == ["b.png"]
    run()
    assert names() == ["b.png"]
    run("lib/private")  # by its name
    assert names() == ["a.png", "b.png"]
    run()
    assert names() == ["a.png", "b.png"]


def test_another_name_of_the_folder_has_its_rules(lib: Path) -> None:
    run("lib", rules=PRIVATE)
    (lib.parent / "link").symlink_to("lib")
    run("link")
    assert names() == ["b.png", "b.png"]


def test_named_and_excluded(lib: Path) -> None:
    with pytest.raises(UsageError, match="both named and excluded"):
        run("lib", rules=Rules((str(lib),)))
    with pytest.raises(UsageError, match="too long"):
        run("lib", rules=Rules(tuple(f"{n:0200}" for n in range(300))))
    for pattern in ("", "!"):
        with pytest.raises(UsageError, match="empty"):
            run("lib", rules=Rules((pattern,)))


def test_moved_with_its_store(lib: Path) -> None:
    run("lib", rules=Rules((str(lib / "private"), "x/private")))
    moved = lib.parent / "elsewhere"
    moved.mkdir()
    for one in ("lib", STORE):
        (lib.parent / one).rename(moved / one)
    os.chdir(moved)
    report = run()
    assert names() == ["b.png"] and report.unchanged == 1 and not report.added


def test_a_dry_run_shows_them_and_keeps_none(lib: Path) -> None:
    run("lib", rules=PRIVATE)
    dry = run(dry_run=True)
    assert dry.rules == {os.fsencode(lib): PRIVATE} and dry.unchanged == 1
    dry = run(rules=Rules(hidden=True), dry_run=True)
    assert dry.were == {os.fsencode(lib): PRIVATE} and dry.added == 3
    assert rules_in() == {str(lib): ["--exclude", "private/"]}


# -- copies of the store -----------------------------------------------------------


def test_backup_repair_merge(lib: Path) -> None:
    run("lib", rules=PRIVATE)
    wanted = {str(lib): ["--exclude", "private/"]}
    backup("copy", store=STORE)
    assert rules_in("copy") == wanted
    copy_store(STORE, "copied.tll")
    assert rules_in("copied.tll") == wanted
    (Path(STORE) / "store.json").unlink()
    repair(STORE)
    assert rules_in() == wanted
    (Path(STORE) / "store.json").write_text("{")
    repair(STORE)
    assert rules_in() == wanted and run().unchanged == 1
    merge([STORE], store="merged.tll")
    assert rules_in("merged.tll") == wanted
    run("lib", store="own.tll", rules=Rules(("x",)))
    merge([STORE], store="own.tll")  # of a folder that both know, its own rules hold
    assert rules_in("own.tll") == {str(lib): ["--exclude", "x"]}


def test_a_salvaged_catalog_keeps_them(lib: Path) -> None:
    run("lib", rules=PRIVATE)
    catalog = next(Path(STORE).glob("catalog*.mdb"))
    data = bytearray(catalog.read_bytes())
    digest = bytes.fromhex(_digest(lib / "x/b.png"))
    at = data.find(digest)
    assert at > 0
    data[at] ^= 1
    catalog.write_bytes(data)
    repair(STORE)
    assert rules_in() == {str(lib): ["--exclude", "private/"]}
    run()
    assert names() == ["b.png"]


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_forgotten_leaves_no_rules(lib: Path) -> None:
    run("lib", rules=Rules(("private/", "secret-name")))
    forget([lib], store=STORE)
    assert not rules_in()
    for file in Path(STORE).rglob("*"):
        assert b"secret-name" not in file.read_bytes()


# -- formats -----------------------------------------------------------------------


def test_only_stores_with_rules_have_the_newer_format(lib: Path) -> None:
    run("lib")
    assert read_about(Path(STORE)).format == 2  # as before: earlier versions read it
    run("lib", rules=PRIVATE)
    about = read_about(Path(STORE))
    assert about.format == 4  # an earlier version would forget what is private
    document = about.document()
    for changes in ({"format": 2}, {"format": 3}, {"rules": {"lib": {"exclude": [[1]]}}}):
        with pytest.raises(StoreDamagedError):
            About.of({**document, **changes}, "store.json")
    with pytest.raises(StoreMismatchError, match="upgrade"):
        About.of({**document, "format": 5}, "store.json")
    run("lib", rules=Rules())
    assert read_about(Path(STORE)).format == 2


def test_a_store_of_an_earlier_version_has_none(lib: Path) -> None:
    run("lib")
    file = Path(STORE) / "store.json"
    assert "rules" not in json.loads(file.read_text())  # which is a store of format 2
    assert rules_in() == {} and run().unchanged == 3
    run(rules=PRIVATE)
    assert names() == ["b.png"]


def test_documents() -> None:
    for said in (Rules(), Rules(("a", "!b", "/c/"), True, True, True)):
        rules = RootRules.of(said, b"/root/\xff", b"/root").at(b"x\xfe/y")
        document = json.loads(json.dumps(rules.document()))
        again = RootRules.from_document(document)
        assert again.said == said and again.patterns == rules.patterns
        assert again.below == (rules.below if said.exclude else "")
    assert RootRules().document() == {}


def test_stray_bytes_in_names_of_folders(lib: Path) -> None:
    root = os.fsencode(lib.parent) + b"/\xff\xc3"
    shutil.copytree(os.fsencode(lib), root)
    run(os.fsdecode(root), rules=Rules(("\udcff", "private")))
    with Store.open(STORE) as store:
        assert list(remembered(store.backend)) == [root]
        remember(store.backend, remembered(store.backend))
    run()
    assert names() == ["b.png"]


# -- names in two forms --------------------------------------------------------------


def test_forget_and_build_in_either_form(lib: Path) -> None:
    stored, typed = (unicodedata.normalize(form, "Übersicht") for form in ("NFD", "NFC"))
    (lib / "x").rename(lib / stored)
    (lib / stored / "é.png").write_bytes(encoded(noise(9), "PNG"))
    run(f"lib/{typed}")  # which is there in the other form
    with Store.open(STORE) as store:
        assert store.roots() == [os.fsencode(lib / stored)]
    run(f"lib/{typed}", rules=Rules(("private",)))
    assert names() == ["b.png", "é.png"] and len(rules_in()) == 1
    other = unicodedata.normalize("NFD", "é.png")
    assert forget([lib / typed / other], store=STORE).paths == 1
    assert names() == ["b.png"]
    assert forget([lib / typed], store=STORE).paths == 1
    with Store.open(STORE) as store:
        assert store.roots() == []


def test_two_folders_that_are_called_the_same(lib: Path) -> None:
    both = [lib / unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    for seed, folder in enumerate(both):
        folder.mkdir()
        (folder / f"{seed}.png").write_bytes(encoded(noise(seed), "PNG"))
    for folder in both:
        run(str(folder))
    with Store.open(STORE) as store:
        assert store.roots() == sorted(map(os.fsencode, both))
    assert names() == ["0.png", "1.png"]


# -- what is passed over --------------------------------------------------------------


def test_what_systems_keep_is_left_out_and_counted(lib: Path, tll_index: Cli) -> None:
    for folder in ("@eaDir/i.png", "#recycle", "$Recycle.Bin/S-1", ".Trash-1000", "lost+found"):
        (lib / folder).mkdir(parents=True)
        (lib / folder / "t.png").write_bytes(encoded(noise(50), "PNG"))
    for name in ("._b.png", "c.XCF", "d.xcf", "e.svg", ".f.xcf", "private/g.xcf", "Thumbs.db"):
        (lib / name).write_bytes(b"x")
    report = run("lib", rules=PRIVATE)
    left_out = report.left_out
    assert names() == ["b.png"]
    assert len(left_out.system_folders) == 5 and left_out.system_files == 1
    assert left_out.kinds() == {".xcf": 2, ".svg": 1}
    run("lib", rules=Rules(system_folders=True))
    assert names().count("t.png") == 4  # one of the five is hidden, too
    run("lib", rules=Rules(system_folders=True, hidden=True))
    assert names().count("t.png") == 5
    assert run("lib/#recycle", store="own.tll").added == 1  # by its name

    text = tll_index("build", "lib", "--store", STORE, "--exclude", "nothing", "--report", "r").out
    assert "left out: 5 system folders, 1 system file such as lib/" in text
    assert "4 files of kinds that can't be read here: 3 .xcf, 1 .svg" in text.replace("\n ", " ")
    assert "--exclude nothing excluded nothing" in text
    rows = [json.loads(line) for line in Path("r").read_text().splitlines()]
    reasons = [row["reason"] for row in rows]
    assert {one: reasons.count(one) for one in reasons} == {"unread": 4, "system": 5, "unused": 1}
    assert {Path(row["path"]).name for row in rows if row["reason"] == "unread"} == {
        *("c.XCF", "d.xcf", "e.svg", "g.xcf")
    }


def test_the_command(lib: Path, tll_index: Cli) -> None:
    first = tll_index(
        "build", "lib", "--backbone", "tiny", "--store", STORE, "--exclude", "private"
    )
    assert first.code == 0 and "rules of lib: --exclude private" in first.out
    again = tll_index("build", "--store", STORE, "--dry-run")
    assert "1 unchanged" in again.out and "rules of lib: --exclude private" in again.out
    assert f"rules     {lib}: --exclude private" in tll_index("info", "--store", STORE).out
    dropped = tll_index("build", "--store", STORE, "--no-rules")
    assert "rules of lib that are dropped: --exclude private" in dropped.out
    assert names() == ["a.png", "b.png", "d.png"]
    both = tll_index("build", "--store", STORE, "--no-rules", "--hidden")
    assert both.code == 2 and "leave it out" in both.err
