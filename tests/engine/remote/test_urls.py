"""Addresses: one spelling each, and no credentials."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from tll_index.core.errors import UsageError
from tll_index.engine.remote.entries import stamp_of
from tll_index.engine.remote.urls import is_address, require_unsigned, tidied, tidy_root


@pytest.mark.parametrize(
    ("said", "tidy"),
    [
        ("s3://Bucket/a/", "s3://Bucket/a"),
        ("S3://bucket", "s3://bucket"),
        ("s3://bucket/a/./b/../c.jpg", "s3://bucket/a/c.jpg"),
        ("s3://bucket/../../a", "s3://bucket/a"),
        ("s3://bucket/a#1?.jpg", "s3://bucket/a#1?.jpg"),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/name/a", "s3://arn:aws:s3:eu-west-1:1:accesspoint/name/a"),
        ("HTTPS://Example.ORG:8443/A b/é.jpg#top", "https://example.org:8443/A%20b/%C3%A9.jpg"),
        ("https://example.org/a%20b//c.jpg", "https://example.org/a%20b/c.jpg"),
        ("https://web.example/2020/http://x.example/a.jpg", "https://web.example/2020/http://x.example/a.jpg"),
        ("https://example.org/a.jpg?w=3", "https://example.org/a.jpg?w=3"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("sftp://me@host/a", "sftp://me@host/a"),
        ("abfs://container@account.dfs.example/a", "abfs://container@account.dfs.example/a"),
        ("hdfs:///user/a/", "hdfs:///user/a"),
        ("file:///my%20photos/", "/my photos/"),
        ("file://localhost/photos", "/photos"),
        ("local:///my%20photos", "/my%20photos"),
    ],
)  # fmt: skip
def test_one_spelling(said: str, tidy: str) -> None:
    assert tidied(said.encode()).decode() == tidy
    if is_address(tidy):
        assert tidied(tidy.encode()).decode() == tidy


@pytest.mark.parametrize(
    "said",
    [
        "s3://AKIAME:hunter2@bucket/a",
        "s3://AKIAME:hun/ter2@bucket/a",
        "s3://AKIAME:12/hunter2@bucket/a",
        "s3://hunter2@bucket/a",
        "gs://hunter2@bucket",
        "https://me:hunter2@example.org/a.jpg",
        "https://hunter2@example.org/a.jpg",
        "sftp://me:hunter2@host/a",
        "ftp://me:hunter2/x@host/a",
    ],
)
def test_credentials_are_refused_and_not_repeated(said: str) -> None:
    with pytest.raises(UsageError, match="credentials") as refused:
        tidied(said.encode())
    assert "hunter" not in str(refused.value) and "AKIAME" not in str(refused.value)


@pytest.mark.parametrize(
    "said", ["s3://", "s3:///", "https://", "hdfs:///", "zip://a.zip::s3://b", "s3://a/\0"]
)
def test_what_names_nothing(said: str) -> None:
    with pytest.raises(UsageError):
        tidied(said.encode())


@pytest.mark.parametrize("said", ["file://elsewhere/photos", "file://", "file://photos"])
def test_files_of_other_machines(said: str) -> None:
    with pytest.raises(UsageError, match="file:///photos"):
        tidied(said.encode())


def test_roots() -> None:
    assert tidy_root(b"s3://bucket/a//b") == b"s3://bucket/a/b"
    assert tidy_root(b"s3://bucket") == b"s3://bucket"
    with pytest.raises(UsageError, match="query string"):
        tidy_root(b"https://example.org/list?page=2")


def test_signed_addresses() -> None:
    require_unsigned("https://example.org/a.jpg?width=300")
    with pytest.raises(UsageError, match="signed") as refused:
        require_unsigned("https://bucket.example/a.jpg?X-Amz-Signature=abcdef")
    assert "abcdef" not in str(refused.value)


def test_what_is_no_address(tmp_path: Path) -> None:
    assert not any(map(is_address, ["a.jpg", "/a/b", "a:b", "C:/x", "s3:/bucket/a", ".://a"]))


def test_stamps() -> None:
    """A mark of the content comes before a time, however it is called or quoted."""
    noon = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
    etag = stamp_of({"ETag": '"abc"', "LastModified": noon})
    assert etag is not None and etag < 0
    assert etag == stamp_of({"etag": "abc"}) == stamp_of({"ETag": 'W/"abc"'})
    assert etag != stamp_of({"ETag": '"abd"', "LastModified": noon})
    seconds = 1_795_608_000
    said = [
        noon,
        noon.replace(tzinfo=None),
        seconds,
        float(seconds),
        "2026-11-25T12:00:00Z",
        "Wed, 25 Nov 2026 12:00:00 GMT",
        "20261125120000",
    ]
    assert {stamp_of({"mtime": one}) for one in said} == {seconds * 10**9}
    assert stamp_of({"size": 3, "mtime": None, "modified": "yesterday"}) is None
