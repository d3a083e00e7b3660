"""The command line as people meet it: output, exit status, one clear line for what is wrong."""

from __future__ import annotations

import ctypes
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tiny
from conftest import Result
from pictures import encoded, fill_folder, noise, png_claiming

Cli = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def photos(here: Path, tll_index: Cli) -> list[Path]:
    paths = fill_folder(here / "photos", 8)
    for path in paths:  # what was just written is opened again by the next build
        os.utime(path, (1e9, 1e9))
    assert tll_index("build", "photos", "--backbone", "tiny", "--quiet").code == 0
    return paths


def one_line(result: Result, code: int) -> str:
    """The only line of a failure."""
    assert result.code == code, result
    assert "Traceback" not in result.err and result.err.count("\n") == 1, result.err
    assert result.err.startswith("tll-index: ")
    return result.err.strip()


def test_build_says_what_it_did(here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 5)
    (here / "photos/bad.jpg").write_text("no")
    shutil.copy(here / "photos/picture0000.png", here / "photos/copy.png")
    result = tll_index("build", "photos", "--backbone", "tiny", "--report", "report.jsonl")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "6 added, 0 updated, 0 unchanged, 0 moved, 0 removed, 1 skipped"
    assert lines[1] == "1 of the added is a copy of a picture indexed before"
    assert lines[2] == "skipped: 1 not a picture"
    assert lines[3] == "  photos/bad.jpg: is not a picture of a format known here"
    assert lines[4].startswith("5 embedded in ") and lines[4].endswith(str(here / ".tll-index"))
    assert "backbone: tiny" in result.err
    (line,) = (here / "report.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "path": str(here / "photos/bad.jpg"),
        "reason": "not a picture",
        "message": "is not a picture of a format known here",
    }
    again = tll_index("build", "photos")
    assert again.out.startswith("0 added, 0 updated, 6 unchanged, 0 moved, 0 removed, 1 skipped")
    dry = tll_index("build", "photos", "--dry-run")
    assert dry.out.startswith("would be: 0 new or moved, 0 updated, 6 unchanged, 0 gone or moved")


def test_auto_says_which_backbone_and_why(here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 2)
    result = tll_index("build", "photos")
    assert result.code == 0
    note = (
        "backbone: efficientnet_lite0_int8_faces (bundled; clip_rn50x4 would need weights and a "
        "trained lens)"
    )
    assert note in result.err
    assert "faces are compared as well, and nothing leaves this machine" in result.err
    assert "128 values" in tll_index("info").out  # of the shipped lens


def test_query_table_json_and_paths(photos: list[Path], tll_index: Cli) -> None:
    table = tll_index("query", photos[0], "-k", 3)
    assert table.code == 0
    lines = table.out.splitlines()
    assert lines[0] == "photos/picture0000.png" and len(lines) == 4
    assert lines[1].split()[0] == "1" and lines[1].split()[2].startswith("photos/picture")
    printed = tll_index("query", photos[0], "-k", 3, "--json").out
    hits = [json.loads(line) for line in printed.splitlines()]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert set(hits[0]) == {"query", "rank", "score", "path", "paths", "width", "height", "sha256"}
    assert [f"{hit['score']:.3f}" for hit in hits] == [line.split()[1] for line in lines[1:]]
    wanted = [hit["path"] for hit in hits]
    assert tll_index("query", photos[0], "-k", 3, "--paths").out.splitlines() == wanted
    assert tll_index("query", photos[0], "-k", 3, "-0").out == "\0".join([*wanted, ""])


def test_query_of_several_pictures(photos: list[Path], tll_index: Cli) -> None:
    result = tll_index("query", photos[0], "absent.png", photos[1], "-k", 2, "--json")
    assert one_line(result, 1) == "tll-index: absent.png: no such file"
    queries = [json.loads(line)["query"] for line in result.out.splitlines()]
    assert queries == [str(photos[0])] * 2 + [str(photos[1])] * 2


def test_query_from_standard_input(photos: list[Path], spawn: Spawn) -> None:
    process = spawn("query", "-", "-k", "1", "--json", "--include-self", stdin=subprocess.PIPE)
    out, err = process.communicate(photos[4].read_bytes(), timeout=500)
    assert process.returncode == 0, err
    assert json.loads(out)["path"] == str(photos[4]) and json.loads(out)["query"] == "-"
    process = spawn("query", "-", stdin=subprocess.PIPE)
    _, err = process.communicate(b"not a picture", timeout=500)
    assert process.returncode == 1
    assert err == b"tll-index: standard input: is not a picture of a format known here\n"


def test_query_page_shows_the_pictures(photos: list[Path], tll_index: Cli, here: Path) -> None:
    (here / "photos/<b>&.png").write_bytes(encoded(noise(50), "PNG"))
    tll_index("build", "--quiet")
    photos[2].unlink()  # indexed, but gone since
    result = tll_index("query", "--sample", 3, "-k", 9, "--html", "page.html")
    assert result.code == 0 and "wrote page.html" in result.err
    page = (here / "page.html").read_text()
    assert page.count("<section>") == 3
    assert page.count('src="data:image/jpeg;base64,') >= 3 * 8
    assert "can&#39;t be shown any more" in page or "can't be shown any more" in page
    assert "photos/&lt;b&gt;&amp;.png" in page and "<b>&" not in page
    assert "http" not in page.replace("http-equiv", "")  # nothing from elsewhere
    assert tll_index("query", photos[0], "--html", "no/such/page.html").code == 1


def test_strange_names_are_shown_and_kept(here: Path, tll_index: Cli, spawn: Spawn) -> None:
    folder = os.fsencode(here / "photos")
    os.mkdir(folder)
    names = [b"\xff.png", b"new\nline.png", b"\x1b[31mred.png"]
    for seed, name in enumerate(names):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(encoded(noise(seed), "PNG"))
    assert tll_index("build", "photos", "--backbone", "tiny", "--quiet").code == 0
    out = tll_index("query", "--sample", 1, "--include-self").out
    for shown in (r"\xff.png", r"new\nline.png", r"\x1b[31mred.png"):
        assert shown in out
    found = tll_index("query", "--sample", 1, "--include-self", "--json").out
    paths = {os.fsencode(json.loads(line)["path"]) for line in found.splitlines()}
    assert paths == {folder + b"/" + name for name in names}
    process = spawn("query", "--sample", "1", "--include-self", "-0")
    raw, err = process.communicate(timeout=500)
    assert sorted(raw.split(b"\0")) == sorted([b"", *(folder + b"/" + name for name in names)]), err


def test_info_and_backbones(photos: list[Path], tll_index: Cli, home: Path) -> None:
    info = tll_index("info")
    assert "8 different, at 8 paths" in info.out and "without PCA or adaptation" in info.out
    assert json.loads(tll_index("info", "--json").out)["images"] == 8
    listed = tll_index("backbones")
    assert (
        "efficientnet_lite0     here" in listed.out
        and "clip_rn50x4            missing" in listed.out
    )
    assert "to get it: run 'tll-index backbones fetch clip_rn50x4'" in listed.out
    rows = [json.loads(line) for line in tll_index("backbones", "--json").out.splitlines()]
    by_name = {row["name"]: row for row in rows}
    assert by_name["clip_rn50x4"]["dimension"] == 5440 and by_name["clip_rn50x4"]["weights"] is None
    assert by_name["tiny"]["weights"] == str(home / "weights/tiny.safetensors")
    assert all(row["licence"] and row["paper"] and row["megabytes"] for row in rows)


def test_the_index_is_chosen_and_kept(photos: list[Path], tll_index: Cli) -> None:
    exact = json.loads(tll_index("query", photos[0], "-k", 3, "--json").out.splitlines()[0])
    assert "Flat: all vectors are compared" in tll_index("info").out
    assert tll_index("build", "--index", "ivf", "--memory", "2G").code == 0
    for arguments in ((), ("--dry-run",), ()):  # what the store was told stays
        tll_index("build", *arguments)
        assert json.loads(tll_index("info", "--json").out)["index"]["kind"].startswith("IVF")
    assert "% of the exact ten best" in tll_index("info").out
    found = json.loads(tll_index("query", photos[0], "-k", 3, "--json").out.splitlines()[0])
    assert (found["path"], found["score"]) == (exact["path"], exact["score"])
    tll_index("build", "--index", "auto")
    assert "Flat: all vectors" in tll_index("info").out
    for option, value, why in (
        ("--index", "cheese", "none of auto, flat, ivf, hnsw"),
        ("--memory", "lots", "is not a size such as 4G"),
    ):
        assert why in one_line(tll_index("build", option, value), 2)
        assert why in one_line(tll_index("build", "photos", "--store", "new", option, value), 2)
    assert not Path("new", "store.json").exists()


def test_usage_errors_exit_2(photos: list[Path], tll_index: Cli) -> None:
    for arguments, message in [
        (("query", photos[0], "-k", 0), "-k: 0 is too small: at least 1"),
        (("query",), "name a picture, or let --sample N choose"),
        (("query", photos[0], "--json", "--paths"), "exclude each other"),
        (("query", "-", "-"), "once"),
        (("build", "photos", "--such-option"), "'build' has no option --such-option"),
        (("frobnicate",), "no command 'frobnicate'"),
        (("build", "photos", "--batch-size", -1), "--batch-size: -1 is too small"),
        (("build", "photos", "--backbone", "nope", "--store", "new"), "unknown backbone 'nope'"),
        (("query", photos[0], "--device", "abacus"), "device 'abacus' can't be used"),
        (("backbones", "fetch", "nope"), "unknown backbone 'nope'"),
    ]:
        assert message in one_line(tll_index(*arguments), 2)


def test_failures_exit_1_in_one_line(photos: list[Path], tll_index: Cli, here: Path) -> None:
    (here / "text.jpg").write_text("hello")
    (here / "zero.png").touch()
    (here / "bomb.png").write_bytes(png_claiming(20_000, 10_000))
    whole = encoded(Image.effect_noise((300, 300), 90), "JPEG")
    (here / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (here / "hollow").mkdir()
    for picture, message in [
        ("absent.jpg", "no such file"),
        ("photos", "is a folder, not a picture"),
        ("text.jpg", "is not a picture"),
        ("zero.png", "is empty (0 bytes)"),
        ("bomb.png", "megapixels"),
        ("cut.jpg", "is cut off: "),
    ]:
        assert one_line(tll_index("query", picture), 1).startswith(f"tll-index: {picture}: ")
        assert message in tll_index("query", picture).err
    for arguments, message in [
        (("query", photos[0], "--store", "nowhere"), "no store in"),
        (("info", "--store", "nowhere"), "no store in"),
        (("build", "hollow", "--store", "new"), "no pictures in"),
        (("build", "absent"), "absent does not exist"),
        (("build", "text.jpg"), "text.jpg is not a folder"),
        (("build", "photos", "--backbone", "tiny2"), "made with another backbone"),
        (("build", "photos", "--backbone", "clip_rn50x4", "--store", "new"), "backbones fetch"),
        (("build", "photos", "--lens", "absent.npz", "--store", "new"), "no lens file"),
        (("build", "photos", "--weights", "absent.pt", "--store", "new"), "no weights file"),
        (("backbones", "fetch", "efficientnet_lite0"), "needs no download"),
    ]:
        assert message in one_line(tll_index(*arguments), 1), arguments


def test_k_beyond_the_store(photos: list[Path], tll_index: Cli) -> None:
    result = tll_index("query", photos[0], "-k", 100)
    assert result.code == 0 and len(result.out.splitlines()) == 8
    assert result.err == "(asked for 100; the store holds 8 pictures)\n"


def test_an_empty_store(photos: list[Path], tll_index: Cli, here: Path) -> None:
    for path in photos:
        path.unlink()
    (here / "photos/notes.txt").touch()
    assert tll_index("build").out.startswith("0 added, 0 updated, 0 unchanged, 0 moved, 8 removed")
    assert "is empty; fill it" in one_line(tll_index("query", "--sample", 1), 1)


def _without_override() -> None:
    """Drop root's right to pass over permissions (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.slow
def test_permissions(photos: list[Path], spawn: Spawn, here: Path) -> None:
    photos[0].chmod(0)
    process = spawn("query", str(photos[0]), preexec_fn=_without_override)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 1
    assert err.decode() == f"tll-index: {photos[0]}: permission denied\n"
    noise(70).save(photos[0].with_name("locked.png"))
    photos[0].with_name("locked.png").chmod(0)
    (here / "photos/closed").mkdir(mode=0)
    process = spawn("build", "photos", preexec_fn=_without_override)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert out.startswith(b"0 added, 0 updated, 8 unchanged, 0 moved, 0 removed, 2 skipped")
    assert b"locked.png: permission denied" in out
    assert b"closed: can't be listed: Permission denied" in out
    photos[0].with_name("locked.png").chmod(0o600)
    (here / "photos/closed").chmod(0o700)
    process = spawn("build", "photos", preexec_fn=_without_override)
    out, err = process.communicate(timeout=500)
    assert out.startswith(b"1 added, 0 updated, 8 unchanged, 0 moved, 0 removed, 0 skipped"), err


def test_a_store_without_write_permission(photos: list[Path], spawn: Spawn, here: Path) -> None:
    for path in (here / ".tll-index").iterdir():
        path.chmod(0o444)
    (here / ".tll-index").chmod(0o555)
    process = spawn("query", str(photos[0]), "-k", "3", preexec_fn=_without_override)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0 and len(out.splitlines()) == 4, err
    noise(80).save(here / "photos/new.png")
    process = spawn("build", "photos", "--quiet", preexec_fn=_without_override)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 1
    assert b"can't be written" in err and err.count(b"\n") == 1, err


def test_nothing_to_embed_loads_no_torch(photos: list[Path], here: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['tiny'] = None\n"  # no other than the registry's row may be needed
        "from dataclasses import replace\n"
        "from tll_index.engine.backbones.registry import DEFAULT, register, spec_of\n"
        "register(replace(spec_of(DEFAULT), name='tiny'))\n"
        "from tll_index import build\n"
        "report = build()\n"
        "print(report.unchanged, report.moved, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "8 0 False\n"
    (here / "photos").rename(here / "pictures")
    (here / "photos").mkdir()
    (here / "pictures").rename(here / "photos/pictures")
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "0 8 False\n"


def test_debug_shows_the_traceback(photos: list[Path], tll_index: Cli, spawn: Spawn) -> None:
    for arguments in (("--debug", "query", "absent.jpg"), ("query", "absent.jpg", "--debug")):
        assert tll_index(*arguments).code == 1  # one of several pictures: said, not raised
    process = spawn("info", "--store", "nowhere", "--debug")
    _, err = process.communicate(timeout=500)
    assert process.returncode == 1 and b"Traceback" in err and b"NoStoreError" in err


def test_a_closed_pipe_is_no_error(photos: list[Path]) -> None:
    tool = shlex.join([sys.executable, tiny.__file__])
    command = f"{tool} query --sample 8 -k 2 --json | head -n 1"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True
    )
    assert ended.stderr == "" and len(ended.stdout.splitlines()) == 1


@pytest.mark.slow
def test_a_folder_that_can_be_listed_but_not_entered(
    photos: list[Path], spawn: Spawn, here: Path
) -> None:
    (here / "photos/sub").mkdir()
    photos[0].rename(here / "photos/sub/a.png")
    process = spawn("build", "--quiet")
    assert process.communicate(timeout=500) and process.returncode == 0
    (here / "photos/sub").chmod(0o444)
    process = spawn("build", preexec_fn=_without_override)
    out, err = process.communicate(timeout=500)
    assert out.startswith(b"0 added, 0 updated, 7 unchanged, 0 moved, 0 removed, 1 skipped"), err
    assert b"photos/sub: can't be entered: Permission denied" in out
    (here / "photos/sub").chmod(0o755)
    process = spawn("build")
    out, err = process.communicate(timeout=500)
    assert out.startswith(b"0 added, 0 updated, 8 unchanged, 0 moved, 0 removed, 0 skipped"), err


def shell(command: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command in which `$T` is the command line with the tiny backbone."""
    tool = shlex.join([sys.executable, tiny.__file__])
    return subprocess.run(
        ["bash", "-c", f'tool() {{ {tool} "$@"; }}; {command}'],
        env={**os.environ, "T": "tool"},
        capture_output=True,
        **options,
    )


@pytest.mark.slow
def test_streams_that_are_closed(photos: list[Path], here: Path) -> None:
    noise(61).save(here / "photos/one.png")
    assert shell("$T build 2>&-").stdout.startswith(b"1 added")
    noise(62).save(here / "photos/two.png")
    ended = shell("set -o pipefail; { $T build >out; } 2>&1 | true")
    assert (here / "out").read_text().startswith("1 added"), ended
    ended = shell("$T query - <&-")
    assert ended.returncode == 1
    assert ended.stderr == b"tll-index: standard input: is closed\n"


@pytest.mark.slow
def test_output_in_another_encoding(photos: list[Path], here: Path) -> None:
    photos[0].rename(here / "photos/日本.png")
    shell("$T build --quiet")
    ended = shell("PYTHONIOENCODING=latin-1 $T query --sample 1 --include-self --json")
    assert any("日本" in json.loads(line)["path"] for line in ended.stdout.splitlines()), ended
    ended = shell("PYTHONIOENCODING=latin-1 $T query --sample 1 --include-self")
    assert ended.returncode == 0 and b"\\u65e5\\u672c.png" in ended.stdout


@pytest.mark.slow
def test_strange_places(photos: list[Path], here: Path, tll_index: Cli) -> None:
    tool = shlex.join([sys.executable, "-c", "from tll_index.cli import main; main()"])
    # with torch it would not start
    ended = shell(f"mkdir gone; cd gone; rmdir ../gone; {tool} info")
    assert ended.returncode == 1
    assert ended.stderr == (
        b"tll-index: the current folder is no longer there; change to another\n"
    )
    name = "st\udcffore\n"
    assert shell(r"$T build photos --backbone tiny --store $'st\xffore\n'").returncode == 0
    ended = shell(r"$T query photos/picture0001.png -k 2 --store $'st\xffore\n'")
    assert ended.returncode == 0 and len(ended.stdout.splitlines()) == 3, ended
    assert (here / name / "vectors.faiss").exists()
    ended = shell(r"$T info --store $'no\nsuch\e[31m'")
    assert ended.stderr.count(b"\n") == 1 and rb"no\nsuch\x1b[31m" in ended.stderr
    assert "standard output is for the results" in tll_index("query", "-", "--html", "-").err
    for arguments in (("info", "--store", "~nobodyknows/x"), ("info", "--device", "meta")):
        assert tll_index(*arguments).code == 2
    assert "can't be used" in tll_index("query", photos[1], "--device", "meta").err


def test_settings_files_that_make_no_sense(photos: list[Path], tll_index: Cli, home: Path) -> None:
    for content in (b"store = 3\n", b"store = '\xff'\n", b"store = '~nobodyknows/x'\n"):
        (home / "config.toml").write_bytes(content)
        assert "config.toml" in one_line(tll_index("info"), 2)


def test_a_store_among_other_things_is_not_begun(here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 2)
    result = tll_index("build", "photos", "--store", "photos", "--backbone", "tiny")
    assert "holds other things" in one_line(result, 1)
    assert len(list((here / "photos").iterdir())) == 2


def test_version(tll_index: Cli) -> None:
    from tll_index import __version__

    assert tll_index("--version").out == f"tll-index, version {__version__}\n"


def test_settings_come_in_order(
    photos: list[Path], tll_index: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").write_text("max_megapixels = 0\n")
    assert "max_megapixels in" in one_line(tll_index("build"), 2)
    monkeypatch.setenv("TLL_MAX_MEGAPIXELS", "many")
    assert "TLL_MAX_MEGAPIXELS: 'many' is not a whole number" in one_line(tll_index("build"), 2)
    assert tll_index("build", "--max-megapixels", 5).code == 0
    monkeypatch.delenv("TLL_MAX_MEGAPIXELS")
    (home / "config.toml").write_text("max_megapixel = 5\n")
    assert "unknown setting 'max_megapixel'" in one_line(tll_index("build"), 2)
    (home / "config.toml").write_text("= 5")
    assert "config.toml" in one_line(tll_index("build"), 2)
    (home / "config.toml").write_text(f'store = "{photos[0].parent.parent / ".tll-index"}"\n')
    monkeypatch.chdir("/")
    assert tll_index("info").code == 0


def test_pages_are_valid_without_hits(here: Path, tll_index: Cli) -> None:
    (here / "photos").mkdir()
    noise(1).save(here / "photos/only.png")
    tll_index("build", "photos", "--backbone", "tiny", "--quiet")
    result = tll_index("query", "photos/only.png", "--html", "page.html")
    assert result.code == 0 and "nothing else is indexed" in result.out
    assert "Nothing else is indexed" in (here / "page.html").read_text()
    assert Image.open(io.BytesIO((here / "photos/only.png").read_bytes())).size == (40, 30)
