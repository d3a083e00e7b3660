"""Look-alike data: both layouts, candidates, submissions, and what is said of broken ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.core.errors import DataError, MissingPictureError, TllError, UsageError
from tll_index.engine.evaluation.kaggle import check_submission, write_submission
from tll_index.engine.evaluation.tll import CandidateLists, read_candidates, read_pairs

PAIRS = {"aa": "xx", "bb": "yy", "cc": "zz"}
CSV = "left,right\naa,xx\nbb,yy\ncc,zz\n"


def picture(path: Path, content: str = "") -> None:
    """A file called like a picture; reading pairs opens none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or path.stem)


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    root = tmp_path / "kaggle"
    for left, right in PAIRS.items():
        picture(root / f"train/left/{left}.jpg")
        picture(root / f"train/right/{right}.jpg")
    (root / "train.csv").write_text(CSV)
    return root


@pytest.fixture
def original(tmp_path: Path) -> Path:
    root = tmp_path / "original"
    for number, (left, right) in enumerate(PAIRS.items(), 1):
        picture(root / f"left/{number:05}.jpg", left)
        picture(root / f"right/{number:05}.jpg", right)
    return root


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_pairs(root)
    return str(caught.value)


# Kaggle's layout


def test_kaggle(kaggle: Path) -> None:
    pairs = read_pairs(str(kaggle))
    assert len(pairs) == 3 and pairs.root == kaggle and pairs.folder == kaggle / "train"
    assert pairs.left == tuple(kaggle / f"train/left/{name}.jpg" for name in PAIRS)
    assert pairs.right == tuple(kaggle / f"train/right/{name}.jpg" for name in PAIRS.values())
    assert pairs.unlabelled == ()


def test_pairs_are_in_the_order_of_the_csv_which_may_leave_some_out(kaggle: Path) -> None:
    (kaggle / "train.csv").write_text("left,right\ncc,xx\naa,zz\n")
    pairs = read_pairs(kaggle)
    names = [(left.stem, right.stem) for left, right in zip(pairs.left, pairs.right, strict=True)]
    assert names == [("cc", "xx"), ("aa", "zz")]


def test_unlabelled_pictures(kaggle: Path) -> None:
    for name in ("right/b.jpg", "left/d.png", "left/a.JPG", "left/notes.txt", "left/._a.jpg"):
        picture(kaggle / "test" / name)
    unlabelled = [str(path.relative_to(kaggle / "test")) for path in read_pairs(kaggle).unlabelled]
    assert unlabelled == ["left/a.JPG", "left/d.png", "right/b.jpg"]


@pytest.mark.parametrize(
    "data",
    [
        CSV.encode("utf-8-sig"),
        CSV.replace("\n", "\r\n").encode(),
        CSV.replace("\n", "\r").encode(),
        CSV.rstrip().encode(),
        (CSV + "\n \n\r\n").encode(),
        CSV.replace(",", " ,\t").encode(),
        CSV.replace("bb", '"bb"').encode(),
    ],
    ids=["BOM", "CRLF", "CR", "no last line end", "blank lines", "spaces", "quotes"],
)
def test_csv_as_programs_write_it(kaggle: Path, data: bytes) -> None:
    expected = read_pairs(kaggle)
    (kaggle / "train.csv").write_bytes(data)
    assert read_pairs(kaggle) == expected


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("left,right\naa,xx\ndd,yy\n", 3, "no picture dd in {root}/train/left"),
        ("left,right\naa,xx\n\nbb,ww\n", 4, "no picture ww in {root}/train/right"),
        ("left,right\naa.jpg,xx\n", 2, "no picture aa.jpg"),
        ("left,right\naa,xx\nbb,yy\naa,zz\n", 4, "left picture aa is already in line 2"),
        ("left,right\naa,xx\nbb,xx\n", 3, "right picture xx is already in line 2"),
        ("left,right\naa,xx\nbb,yy\naa,xx\n", 4, "repeats the pair of line 2"),
        ("left,right\naa,xx\nbb\n", 3, "has 1 columns, the header has 2"),
        ("left,right\naa,xx,yy\n", 2, "has 3 columns, the header has 2"),
        ("left,right\naa,\n", 2, "empty name"),
        ("left,right\n , xx\n", 2, "empty name"),
        ("left,right\n../left/aa,xx\n", 2, "../left/aa is not the plain name"),
        ("left,right\naa,/etc/passwd\n", 2, "/etc/passwd is not the plain name"),
        ("left,right\naa,x\\x\n", 2, "not the plain name"),
        ("left,right\n..,xx\n", 2, "not the plain name"),
        ("left,right\na\0a,xx\n", 2, ""),
        ('left,right\naa,"x\nx"\n', 3, "not the plain name"),
        ('left,right\naa,"xx\n', 2, "not CSV"),
        ("right,left\nxx,aa\n", 1, "header is right,left, expected left,right"),
        ("aa,xx\nbb,yy\n", 1, "header is aa,xx, expected left,right"),
        ("left;right\naa;xx\n", 1, "header is left;right"),
        ("\n\nleft\naa\n", 3, "header is left,"),
    ],
)
def test_what_is_wrong_with_a_row(kaggle: Path, text: str, line: int, says: str) -> None:
    (kaggle / "train.csv").write_text(text)
    message = refused(kaggle)
    assert message.startswith(f"{kaggle}/train.csv, line {line}: ")
    assert says.format(root=kaggle) in message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "train.csv is empty"),
        (b"\r\n \n", "train.csv is empty"),
        (b"\xef\xbb\xbf", "train.csv is empty"),
        (b"left,right\r\n\r\n", "train.csv has a header and no rows"),
        (b"left,right\naa,xx\nb\xe9,yy\n", "train.csv, line 3: is not UTF-8"),
        (CSV.encode("utf-16"), "train.csv, line 1: is not UTF-8"),
    ],
)
def test_what_is_wrong_with_the_file(kaggle: Path, data: bytes, says: str) -> None:
    (kaggle / "train.csv").write_bytes(data)
    assert says in refused(kaggle)


def test_a_picture_is_a_file_and_its_name_is_its_own(kaggle: Path) -> None:
    picture(kaggle / "train/left/aa.png")
    message = refused(kaggle)
    assert f"{kaggle}/train/left/aa.png and aa.jpg have the same name" in message
    (kaggle / "train/left/aa.png").unlink()
    (kaggle / "train/left/aa.jpg").unlink()
    (kaggle / "train/left/aa.jpg").mkdir()
    assert "line 2: there is no picture aa in" in refused(kaggle)


@pytest.mark.parametrize("missing", ["train", "train/right"])
def test_folders_that_are_missing(kaggle: Path, missing: str) -> None:
    shutil.rmtree(kaggle / missing)
    assert f"there is no folder {kaggle}/train" in refused(kaggle)


# The original layout


def test_original(original: Path) -> None:
    picture(original / "left/00000.png")
    picture(original / "right/00000.webp")
    picture(original / "left/.DS_Store")
    picture(original / "left/readme.txt")
    pairs = read_pairs(original)
    assert [path.name for path in pairs.left][:2] == ["00000.png", "00001.jpg"]
    assert [path.name for path in pairs.right][:2] == ["00000.webp", "00001.jpg"]
    assert len(pairs) == 4 and pairs.folder == original and pairs.unlabelled == ()


@pytest.mark.parametrize(("side", "other"), [("left", "right"), ("right", "left")])
def test_a_picture_without_partner(original: Path, side: str, other: str) -> None:
    (original / side / "00002.jpg").unlink()
    expected = f"{original}/{other}/00002.jpg has no partner in {original}/{side}"
    assert expected in refused(original)


def test_neither_layout(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == f"there is no folder {tmp_path}/nowhere"
    (tmp_path / "left").mkdir()
    message = refused(tmp_path)
    assert "train.csv" in message and "left and right" in message
    (tmp_path / "right").mkdir()
    assert "no picture" in refused(tmp_path)
    picture(tmp_path / "file")
    assert "there is no folder" in refused(tmp_path / "file")


# The digest


def test_digest_is_of_contents_and_pairing(kaggle: Path, original: Path) -> None:
    digest = read_pairs(kaggle).digest()
    assert read_pairs(original).digest() == digest  # other names and places, the same pictures
    picture(kaggle / "train/left/dd.jpg")
    picture(kaggle / "test/left/ee.jpg")
    assert read_pairs(kaggle).digest() == digest
    (kaggle / "train.csv").write_text("left,right\naa,yy\nbb,xx\ncc,zz\n")
    repaired = read_pairs(kaggle).digest()
    (kaggle / "train.csv").write_text(CSV)
    picture(kaggle / "train/right/xx.jpg", "other")
    changed = read_pairs(kaggle).digest()
    assert len({digest, repaired, changed}) == 3


def test_digest_of_a_picture_that_went_away(kaggle: Path) -> None:
    pairs = read_pairs(kaggle)
    pairs.right[1].unlink()
    with pytest.raises(MissingPictureError, match="yy"):
        pairs.digest()


# CandidateLists


def candidates(folder: Path, text: str) -> CandidateLists:
    (folder / "candidates.csv").write_text(text)
    return read_candidates(folder / "candidates.csv")


def test_candidates(kaggle: Path) -> None:
    read = candidates(kaggle, "left,c0,c1\r\nbb,zz,yy\r\n\r\naa,xx,zz\r\n")
    assert read.left == ("bb", "aa") and read.right == (("zz", "yy"), ("xx", "zz"))
    assert read.lines == (2, 4) and len(read) == 2
    located = read.located(kaggle / "train")
    pairs = read_pairs(kaggle)
    assert located.left == (pairs.left[1], pairs.left[0])
    assert located.right == pairs.right  # zz once
    assert located.offered.tolist() == [[2, 1], [0, 2]]
    assert read.true_matches(pairs).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("left,c0,c1\naa,xx,yy\nbb,xx,yy\naa,xx,zz\n", 4, "left picture aa is already in line 2"),
        ("left,c0,c1\naa,xx,xx\n", 2, "candidate xx is there twice"),
        ("left,c0,c1\naa,xx,yy\nbb,xx\n", 3, "has 2 columns, the header has 3"),
        ("left,c0,c1\naa,xx,yy,zz\n", 2, "has 4 columns, the header has 3"),
        ("left,c0,c1\naa,xx,\n", 2, "empty name"),
        ("left,c0,c1\naa,../xx,yy\n", 2, "not the plain name"),
        ("left,c1,c2\naa,xx,yy\n", 1, "header is left,c1,c2, expected left,c0,c1,…"),
        ("left,right\naa,xx\n", 1, "expected left,c0,c1,…"),
        ("left\naa\n", 1, "expected left,c0,c1,…"),
    ],
)
def test_what_is_wrong_with_candidates(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(DataError) as caught:
        candidates(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/candidates.csv, line {line}: ")
    assert says in str(caught.value)


def test_no_candidates(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv can't be read: No such file"):
        read_candidates(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no rows"):
        candidates(tmp_path, "left,c0\n")


@pytest.mark.parametrize(
    ("row", "says"),
    [("dd,xx,yy", "no picture dd in .*left"), ("aa,xx,ww", "no picture ww in .*right")],
)
def test_candidates_without_picture(kaggle: Path, row: str, says: str) -> None:
    read = candidates(kaggle, f"left,c0,c1\nbb,xx,yy\n{row}\n")
    with pytest.raises(DataError, match=rf"candidates\.csv, line 3: .*{says}"):
        read.located(kaggle / "train")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("dd,xx,yy", "dd is the left picture of no pair in"),
        ("aa,yy,zz", "xx, the match of aa, is not a candidate"),
    ],
)
def test_candidates_without_match(kaggle: Path, row: str, says: str) -> None:
    read = candidates(kaggle, f"left,c0,c1\nbb,xx,yy\n{row}\n")
    with pytest.raises(DataError, match=rf"candidates\.csv, line 3: {says}"):
        read.true_matches(read_pairs(kaggle))


# Submissions


@settings(max_examples=30, deadline=None)
@given(
    scores=st.lists(
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=5,
    )
)
def test_submission_round_trip(
    scores: list[list[float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("submission")
    lefts = "".join(f"l{row},a,b,c\n" for row in range(len(scores)))
    offered = candidates(folder, "left,c0,c1,c2\n" + lefts)
    array = np.array(scores, np.float32)
    write_submission(folder / "s.csv", offered, array)
    header, *rows = (folder / "s.csv").read_text().splitlines()
    assert header == "left,c0,c1,c2"
    assert [row.split(",")[0] for row in rows] == list(offered.left)
    read = np.array([row.split(",")[1:] for row in rows], np.float64).astype(np.float32)
    assert (read == array).all()  # 9 digits are all of a float32
    check_submission(folder / "s.csv", folder / "s.csv")
    assert sorted(path.name for path in folder.iterdir()) == ["candidates.csv", "s.csv"]


def test_submission_is_written_whole_or_not(tmp_path: Path) -> None:
    offered = candidates(tmp_path, "left,c0,c1\naa,xx,yy\n")
    target = tmp_path / "s.csv"
    target.write_text("before")
    for wrong in ([[1.0]], [[1.0, 2.0]] * 2, [[1.0, np.nan]], [[1.0, np.inf]]):
        with pytest.raises(UsageError):
            write_submission(target, offered, np.array(wrong))
    assert target.read_text() == "before"
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    write_submission(link, offered, [[1.0, 2.0]])
    assert link.is_symlink() and target.read_text() == "left,c0,c1\naa,1,2\n"
    for unwritable in (tmp_path, tmp_path / "no/folder.csv"):
        with pytest.raises(TllError, match="can't be written"):
            write_submission(unwritable, offered, [[1.0, 2.0]])
    assert not [*tmp_path.glob("*.new"), *tmp_path.parent.glob("*.new")]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("left,c0\naa,1\nbb,2\n", 1, "header is left,c0, expected left,c0,c1"),
        ("left,c0,c1\naa,1,2\n", 2, "there are 1 rows"),
        ("left,c0,c1\naa,1,2\nbb,1,2\ncc,1,2\n", 4, "there are 3 rows"),
        ("left,c0,c1\nbb,1,2\naa,1,2\n", 2, "is about bb"),
        ("left,c0,c1\naa,1,2\nbb,1\n", 3, "has 2 columns"),
        ("left,c0,c1\naa,1,2\nbb,1,\n", 3, "'' is not a finite number"),
        ("left,c0,c1\naa,1,nan\nbb,1,2\n", 2, "'nan' is not a finite number"),
        ("left,c0,c1\naa,1,2\nbb,-inf,2\n", 3, "'-inf' is not a finite number"),
        ("left,c0,c1\naa,1,1e999\nbb,1,2\n", 2, "'1e999' is not a finite number"),
        ("left,c0,c1\naa,1_0,2\nbb,1,2\n", 2, "'1_0' is not a finite number"),
        ("left,c0,c1\naa,1,xx\nbb,1,2\n", 2, "'xx' is not a finite number"),
    ],
)
def test_what_is_wrong_with_a_submission(tmp_path: Path, text: str, line: int, says: str) -> None:
    sample, path = tmp_path / "sample.csv", tmp_path / "s.csv"
    sample.write_text("left,c0,c1\naa,0.5,1e-3\nbb,-.5,+2.\n")
    check_submission(sample, sample)
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        check_submission(path, sample)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert says in str(caught.value)


# The real ones


def test_real_data(tll: Path, tmp_path: Path) -> None:
    pairs = read_pairs(tll)
    rows = (tll / "train.csv").read_text().split()[1:]
    named = [
        f"{left.stem},{right.stem}" for left, right in zip(pairs.left, pairs.right, strict=True)
    ]
    assert named == rows and all(path.is_file() for path in (*pairs.left, *pairs.right))
    assert len(pairs.unlabelled) == 4000
    offered = read_candidates(tll / "test_candidates.csv")
    located = offered.located(tll / "test")
    assert located.offered.shape == (2000, 20) and len(located.left) == 2000
    assert located.right[located.offered[7, 3]].stem == offered.right[7][3]
    scores = np.random.default_rng(0).normal(size=(2000, 20)).astype(np.float32)
    write_submission(tmp_path / "s.csv", offered, scores)
    check_submission(tmp_path / "s.csv", tll / "sample-submission.csv")
    with pytest.raises(DataError, match="of no pair"):
        offered.true_matches(pairs)
