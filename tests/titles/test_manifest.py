import json
from pathlib import Path
from typing import Any

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.titles.manifest import Manifest, is_title_id, read_manifest
from mediafm_core.titles.own_file import OwnFile

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
    return read_manifest(OwnFile.at(folder / "title.json"), folder.name)


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
        (b"", "no valid JSON"),
        (b"{", "no valid JSON"),
        (b"\xff\xfe{\x00}\x00", "no valid JSON"),
        (b"a" * ((1 << 20) + 1), "larger than 1 MiB"),
        (b"[" * 100_000, "no valid JSON"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        ({**GOOD, "name": 7}, "'name' has the value 7"),
        ({**GOOD, "name": " "}, "'name' has the value ' '"),
        ({**GOOD, "tags": "drama"}, "'tags' has the value 'drama'"),
        ({**GOOD, "tags": ["a", None]}, "'tags.1' has the value None"),
        ({**GOOD, "synopsis": None}, "'synopsis' has the value None"),
        ({**GOOD, "language": "english!"}, "'english!'"),
        ({key: value for key, value in GOOD.items() if key != "kind"}, "'kind' is missing"),
        ({**GOOD, "title_id": "other"}, "'other' is not the folder's name 'film'"),
        ({**GOOD, "title_id": "../film"}, "'../film'"),
        ({**GOOD, "title_id": "/etc/film"}, "'/etc/film'"),
        ({**GOOD, "title_id": "film\n"}, r"'film\n'"),
    ],
)
def test_a_wrong_manifest_is_one_sentence(folder: Path, content: Any, named: str) -> None:
    write(folder, content)
    with pytest.raises(TitleError) as raised:
        read(folder)
    message = str(raised.value)
    assert str(folder / "title.json") in message
    assert named in message
    assert "\n" not in message
    assert len(message) < 500


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
