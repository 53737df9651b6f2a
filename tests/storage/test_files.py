"""Files on disk and in S3 behave the same."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from stored_files import read, write

from mediafm_core.storage.files import Files

NAMES = st.sampled_from(["a", "a-b/c", "a.d", "b/c/d", "b/c.e", "ü b/ä+%?", ".hidden", "b/.x/y"])


def is_hidden(key: str) -> bool:
    return any(part.startswith(".") for part in key.split("/"))


@given(st.lists(st.tuples(NAMES, st.one_of(st.none(), st.binary(max_size=40))), max_size=12))
@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_are_as_they_were_last_written(
    files: Files, steps: list[tuple[str, bytes | None]]
) -> None:
    for entry in list(files.entries()):
        files.remove(entry.key)
    expected: dict[str, bytes] = {}
    for key, content in steps:
        if content is None:
            files.remove(key)
            expected.pop(key, None)
        else:
            write(files, key, content)
            expected[key] = content
    listed = {entry.key: entry for entry in files.entries()}
    assert set(listed) == {key for key in expected if not is_hidden(key)}
    for key, content in expected.items():
        assert read(files, key) == content
        entry = files.entry(key)
        assert entry is not None
        assert entry.size == len(content)
        assert listed.get(key, entry)[:3] == entry[:3]
        assert files.tail(key, 7) == content[-7:]
    folders = {key.split("/")[0] for key in listed if "/" in key}
    assert folders <= set(files.folders())
    assert files.folders() == sorted(files.folders())
    assert {entry.key for entry in files.entries("b")} == {
        key for key in listed if key.startswith("b/")
    }


def test_many_files_at_once(files: Files) -> None:
    keys = [f"{number % 3}/{number}" for number in range(40)]
    for key in keys:
        write(files, key, key.encode())
    assert [path.read_bytes().decode() for path in files.paths(keys)] == keys
    assert not files.paths(["0/0", "none"])[1].exists()


def test_what_is_not_there(files: Files) -> None:
    write(files, "a/b/c", b"")
    for key in ("a", "a/b", "c", "a/b/c/d"):
        assert not files.exists(key)
        assert files.entry(key) is None
        with pytest.raises(OSError, match=r"No such file|Is a directory|Not a directory"):
            read(files, key)
    with pytest.raises(FileNotFoundError):
        files.tail("c", 8)
    assert list(files.entries("none")) == []
    assert files.folders("none") == []
    files.remove("c")


def test_replacing_a_file_changes_its_stamp_and_no_open_reader(files: Files) -> None:
    write(files, "a", b"one")
    before = files.entry("a")
    with files.path("a").open("rb") as reader:
        write(files, "a", b"two")
        assert read(files, "a") == b"two"
        assert reader.read() == b"one"
    after = files.entry("a")
    assert before
    assert after
    assert before.stamp != after.stamp


def test_a_file_is_never_seen_in_part(files: Files) -> None:
    contents = [bytes([number]) * (200_000 + number) for number in range(20)]
    write(files, "a", contents[0])

    def replace() -> None:
        for content in contents:
            write(files, "a", content)

    writer = threading.Thread(target=replace)
    writer.start()
    while writer.is_alive():
        assert read(files, "a") in contents
    writer.join()
    assert read(files, "a") == contents[-1]


def test_what_a_killed_process_prepared_is_swept_and_no_others(files: Files) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from mediafm_core.storage.local import LocalFiles;"
        "files = LocalFiles(Path(sys.argv[1]));"
        "staging = files.staging(); folder = staging.__enter__();"
        "(folder / 'half').write_bytes(b'x');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(files.root)], check=False)

    def staged() -> list[Path]:
        return [path for path in (files.root / ".staging").rglob("*") if path.is_file()]

    assert len(staged()) == 1
    with files.staging() as folder:
        mine = folder / "mine"
        mine.write_bytes(b"")
        files.sweep()
        assert staged() == [mine]
