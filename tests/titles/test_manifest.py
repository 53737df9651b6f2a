import json
from pathlib import Path
from typing import Any

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.titles.manifest import Manifest, is_title_id, read_manifest
from mediafm_core.titles.title_file import TitleFile

GOOD: dict[str, Any] = {
    "title_id": "film",
    "name": "A Film",
    "kind": "movie",
    "language": "en",
    "synopsis": "Æ story of naïve señors.",
    "tags": ["drama", "日本"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "film").mkdir()
    return tmp_path / "film"


def read(folder: Path) -> Manifest:
    return read_manifest(TitleFile.at(folder / "title.json"), folder.name)


def write(folder: Path, content: Any) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "title.json").write_bytes(data)


def test_real_manifests(shared_media: Path) -> None:
    folders = [path for path in shared_media.iterdir() if path.is_dir()]
    manifests = {folder.name: read(folder) for folder in folders}
    assert len(manifests) == 5
    assert manifests["big_buck_bunny"].name == "Big Buck Bunny"
    assert manifests["big_buck_bunny"].tags[0] == "animation"
    assert all(manifest.title_id == name for name, manifest in manifests.items())


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf8_with_and_without_byte_order_mark(folder: Path, mark: bytes) -> None:
    write(folder, mark + json.dumps(GOOD, ensure_ascii=False).encode())
    manifest = read(folder)
    assert manifest.synopsis == GOOD["synopsis"]
    assert manifest.tags == ("drama", "日本")


def test_synopsis_and_tags_may_be_absent_and_other_fields_are_kept(folder: Path) -> None:
    write(folder, {"title_id": "film", "name": "F", "kind": "movie", "language": "und", "year": 9})
    manifest = read(folder)
    assert (manifest.synopsis, manifest.tags, manifest.extra) == ("", (), {"year": 9})


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{\x00}\x00", "'title_id' is missing"),
        (b"\xff\xfe", "not valid JSON (the file is empty)"),
        (b'{"name": "A",\n "kind": "caf\xe9"}', "line 2: byte 28 of the file, 0xE9, is not UTF-8"),
        (b'{"title_id": "film", // ours\n}', "JSON has no comments"),
        (b'{"title_id": "film",\n # ours\n}', "JSON has no comments"),
        (b"{'title_id': 'film'}", "straight double quotes"),
        ("{“title_id”: “film”}".encode(), "straight double quotes"),
        (b'{"title_id": "film",}', "trailing comma at line 1"),
        (b'{"title_id": "\\ud800"}', "not valid JSON"),
        (json.dumps(GOOD)[:-1].encode() + b', "year": 1e999}', "1e999 is not a finite number"),
        (json.dumps(GOOD)[:-1].encode() + b', "year": NaN}', "NaN is not a finite number"),
        (json.dumps(GOOD)[:-1].encode() + b', "year": ' + b"9" * 10_000 + b"}", "out of range"),
        (json.dumps(GOOD)[:-1].encode() + b', "kind": "x"}', "'kind' occurs twice"),
        ({**GOOD, "tags": ["a"] * 1001}, "at most 1000 items"),
        ({**GOOD, "synopsis": "a" * 100_001}, "at most 100000 characters"),
        ({**GOOD, "extra": [[[0] * 3] * 3] * 3, "name": None}, "'name' has the value null"),
        (b"a" * ((1 << 20) + 1), "larger than 1 MiB"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a":' * 100_000, "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        ({**GOOD, "name": 7}, "'name' has the value 7"),
        ({**GOOD, "name": " "}, "'name' has the value \" \""),
        ({**GOOD, "tags": "drama"}, "'tags' has the value \"drama\""),
        ({**GOOD, "tags": ["a", None]}, "'tags.1' has the value null"),
        ({**GOOD, "language": "english!"}, "'english!'"),
        ({key: value for key, value in GOOD.items() if key != "kind"}, "'kind' is missing"),
        ({**GOOD, "title_id": "other"}, "'other' is not the folder's name 'film'"),
        ({**GOOD, "title_id": "../film"}, "'../film'"),
        ({**GOOD, "title_id": "/etc/film"}, "'/etc/film'"),
        ({**GOOD, "title_id": "film\n"}, r"'film\n'"),
    ],
)
def test_an_invalid_manifest_is_refused_in_one_sentence(
    folder: Path, content: Any, named: str
) -> None:
    write(folder, content)
    with pytest.raises(TitleError) as raised:
        read(folder)
    message = str(raised.value)
    assert str(folder / "title.json") in message
    assert named in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"]
)
def test_every_encoding_that_json_may_be_in(folder: Path, encoding: str) -> None:
    write(folder, json.dumps(GOOD, ensure_ascii=False).encode(encoding))
    assert read(folder).synopsis == GOOD["synopsis"]


def test_null_in_an_optional_field_is_ignored(folder: Path) -> None:
    write(folder, {**GOOD, "synopsis": None, "tags": None, "year": None})
    manifest = read(folder)
    assert (manifest.synopsis, manifest.tags, manifest.extra) == ("", (), {"year": None})


def test_names_of_fields_with_capitals(folder: Path) -> None:
    write(folder, {"Title_ID": "film", "NAME": "F", "Kind": "movie", "language": "en", "Tags": []})
    assert read(folder) == Manifest(title_id="film", name="F", kind="movie", language="en")
    write(folder, {**GOOD, "Name": "of the catalogue's own"})
    assert read(folder).name == GOOD["name"]
    assert read(folder).extra == {"Name": "of the catalogue's own"}


def test_a_missing_manifest_is_named(folder: Path) -> None:
    with pytest.raises(TitleError, match=r"title\.json is missing: add it"):
        read(folder)


@pytest.mark.parametrize("value", ["a", "0", "a.b-c_d", "x" * 128, "a..b"])
def test_title_ids(value: str) -> None:
    assert is_title_id(value)


@pytest.mark.parametrize(
    "value", ["", ".", "..", "../x", "a/b", "a\\b", "A", "-a", "_a", "a b", "é", "x" * 129, "a...b"]
)
def test_not_title_ids(value: str) -> None:
    assert not is_title_id(value)
