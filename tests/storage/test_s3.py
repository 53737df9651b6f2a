"""Files in S3: cache, transient faults, and lasting refusals."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import FAULTS, FaultyProxy
from limited_files import largest_file
from s3_server import READ_ONLY_KEY, SECRET_KEY, S3Server
from stored_files import OpenFiles, read, write

from mediafm_core.config.location import S3Location
from mediafm_core.errors import ConfigurationError, StorageError
from mediafm_core.storage.cache import FileCache
from mediafm_core.storage.s3 import S3Files

MANY = 1 << 20


class TestCache:
    def test_an_unchanged_file_is_transferred_once(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        writer, reader = open_files(), open_files(endpoint_url=proxy.endpoint)
        write(writer, "a/film.mp4", b"one" * MANY)
        path = reader.path("a/film.mp4")
        assert path.name == "film.mp4"
        proxy.transferred = 0
        assert reader.path("a/film.mp4") == path
        assert proxy.transferred < 2000
        write(writer, "a/film.mp4", b"two" * MANY)
        assert read(reader, "a/film.mp4") == b"two" * MANY
        assert path.read_bytes() == b"one" * MANY  # a caller that has the path may still open it

    def test_what_was_written_here_need_not_be_brought_back(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint)
        write(files, "a", b"x" * MANY)
        proxy.transferred = 0
        assert read(files, "a") == b"x" * MANY
        assert proxy.transferred < 2000

    def test_an_immutable_file_is_requested_once(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint)
        write(files, "a", b"x")
        asked = proxy.requests.total()
        assert files.path("a", immutable=True).read_bytes() == b"x"
        assert proxy.requests.total() == asked

    def test_the_end_of_a_file_is_read_without_the_rest(
        self, open_files: OpenFiles, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        write(open_files(cache=tmp_path / "other"), "a", b"x" * MANY + b"end")
        files = open_files(endpoint_url=proxy.endpoint)
        assert files.tail("a", 3) == b"end"
        assert proxy.transferred < 2000

    def test_dropped_copies_are_brought_again(self, open_files: OpenFiles) -> None:
        files = open_files()
        write(files, "film/media.mp4", b"film")
        path = files.path("film/media.mp4")
        files.evict("film")
        assert not path.exists()
        assert read(files, "film/media.mp4") == b"film"

    def test_errors_name_the_file_and_not_its_copy(self, open_files: OpenFiles) -> None:
        files = open_files()
        write(files, "a film/media.mp4", b"film")
        path = files.path("a film/media.mp4")
        name = f"{files.location}/a film/media.mp4"
        assert files.in_words(f"{path} is cut, or '{path}'.") == f"{name} is cut, or '{name}'."

    def test_the_same_key_elsewhere_is_another_file(
        self, open_files: OpenFiles, server: S3Server, place: S3Location
    ) -> None:
        other = open_files(S3Location(server.bucket("another"), place.prefix))
        write(open_files(), "a", b"one")
        write(other, "a", b"two")
        assert read(open_files(), "a") == b"one"

    def test_the_least_recently_used_copies_make_room(self, tmp_path: Path) -> None:
        copies = FileCache(tmp_path / "copies", "s3://b", room_bytes=1000)
        for number in range(10):
            prepared = tmp_path / "prepared"
            prepared.write_bytes(b"x" * 300)
            path = copies.keep(prepared, f"{number}", "v")
            if number not in (0, 8):  # these are in use
                os.utime(path.parent, (number, number))
        left = sorted(path.parent.parent.name for path in tmp_path.rglob("copies/*/@v/*"))
        assert {"0", "8", "9"} <= set(left)
        assert len(left) <= 5

    def test_a_full_disk_leaves_no_copy(self, open_files: OpenFiles, tmp_path: Path) -> None:
        write(open_files(cache=tmp_path / "other"), "a", b"x" * MANY)
        files = open_files()
        with largest_file(MANY // 2), pytest.raises(OSError, match="File too large"):
            files.path("a")
        assert not [path for path in files.root.rglob("*") if path.is_file()]
        assert read(files, "a") == b"x" * MANY


class TestPassingFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_each_fault_passes(
        self, open_files: OpenFiles, proxy: FaultyProxy, tmp_path: Path, fault: str
    ) -> None:
        reader = open_files(cache=tmp_path / "other")
        waiting = {"read_timeout_s": 1.0} if fault == "hung" else {}
        files = open_files(endpoint_url=proxy.endpoint, **waiting)
        proxy.shares = {fault: 0.05 if fault in ("hung", "throttled") else 0.25}
        for number in range(8):
            content = os.urandom(1000 + 60_000 * number)
            write(files, f"{number % 3}", content)
            assert read(reader, f"{number % 3}") == content
            write(reader, f"{number % 3}", content + b"!")
            assert read(files, f"{number % 3}") == content + b"!"
            assert len(list(files.entries())) == min(3, number + 1)
        assert proxy.injected[fault]

    def test_a_large_file_goes_on_where_it_was_cut(
        self, open_files: OpenFiles, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        content = os.urandom(65 * MANY)  # in parts
        write(open_files(), "large", content)
        reader = open_files(endpoint_url=proxy.endpoint, cache=tmp_path / "other")
        proxy.cut_after = 20 * MANY
        proxy.shares = {"cut": 1.0}
        proxy.transferred = 0
        assert read(reader, "large") == content
        assert proxy.injected["cut"] >= 3
        assert proxy.transferred < 1.2 * len(content)

    def test_a_damaged_transfer_is_not_believed(
        self, open_files: OpenFiles, proxy: FaultyProxy, tmp_path: Path
    ) -> None:
        content = os.urandom(MANY)
        write(open_files(cache=tmp_path / "other"), "a", content)
        files = open_files(endpoint_url=proxy.endpoint, max_attempts=3)
        proxy.shares = {"damaged": 1.0}
        with pytest.raises(StorageError, match=r"store/a does not arrive whole .* in 3 tries"):
            files.path("a")
        proxy.shares = {"damaged": 0.4}
        files = open_files(endpoint_url=proxy.endpoint)
        for _ in range(5):
            files.evict("a")
            assert read(files, "a") == content

    def test_the_error_of_an_unreachable_service_is_one_sentence(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint, max_attempts=2)
        proxy.shares = {"throttled": 1.0}
        for said in refusals(files, StorageError):
            assert re.search(r"answers (SlowDown|503) for s3://\S+/store\S* after 2 tries", said)
        proxy.is_down = True
        for said in refusals(files, StorageError):
            assert re.search(r"s3://\S+ cannot be reached at http://\S+ in 2 tries", said)

    def test_a_bad_spell_leaves_later_requests_all_their_tries(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint, max_attempts=4)
        write(files, "a", b"a")

        def refused(_number: int) -> str:
            with pytest.raises(StorageError) as raised:
                files.entry("a")
            return str(raised.value)

        proxy.shares = {"refused": 1.0}
        proxy.requests.clear()
        with ThreadPoolExecutor(16) as threads:  # the client is shared
            said = list(threads.map(refused, range(48)))
        assert proxy.requests.total() == 4 * len(said)
        assert all("in 4 tries (ConnectionClosedError)" in sentence for sentence in said)
        proxy.refuse_next = 3
        proxy.shares = {}
        assert read(files, "a") == b"a"
        assert proxy.refuse_next == 0

    def test_the_sentence_counts_the_tries_that_were_made(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint, max_attempts=1)
        proxy.is_down = True
        with pytest.raises(StorageError, match=r"cannot be reached at http://\S+ in 1 try \("):
            files.entry("a")
        proxy.is_down = False
        proxy.shares = {"throttled": 1.0}
        with pytest.raises(StorageError, match="after 1 try: wait until the service recovers"):
            files.entry("a")

    def test_a_failed_write_leaves_what_was_there(
        self, open_files: OpenFiles, proxy: FaultyProxy
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint, max_attempts=2)
        write(files, "a", b"old")
        proxy.is_down = True
        with pytest.raises(StorageError):
            write(files, "a", b"new")
        proxy.is_down = False
        assert read(files, "a") == b"old"


class TestRefusals:
    def test_no_bucket(self, open_files: OpenFiles) -> None:
        files = open_files(S3Location("that-is-missing", "x"))
        with pytest.raises(ConfigurationError, match="There is no bucket that-is-missing at http"):
            list(files.entries())
        with pytest.raises(ConfigurationError, match="create it, or correct inbox and store"):
            files.path("a")

    @pytest.mark.parametrize("name", ["access_key_id", "secret_access_key"])
    def test_wrong_keys_are_refused_at_once_and_not_repeated(
        self, open_files: OpenFiles, proxy: FaultyProxy, name: str
    ) -> None:
        files = open_files(endpoint_url=proxy.endpoint, **{name: "wrong-key"})
        proxy.requests.clear()
        said = refusals(files, ConfigurationError)
        assert proxy.requests.total() == len(said)
        for sentence in said:
            assert re.search(r"http://\S+ refuses \w+ of s3://\S+", sentence)
            assert "docs/reference/storage.md" in sentence
            assert "wrong-key" not in sentence
            assert SECRET_KEY not in sentence

    def test_a_reader_without_the_right_to_write(self, open_files: OpenFiles) -> None:
        write(open_files(), "a", b"a")
        files = open_files(access_key_id=READ_ONLY_KEY)
        assert read(files, "a") == b"a"
        with pytest.raises(ConfigurationError, match=r"refuses PutObject of s3://\S+/store/a "):
            write(files, "a", b"b")
        with pytest.raises(ConfigurationError, match=r"refuses PutObject of s3://\S+\.x\.lock"):
            files.exclusive("x").__enter__()

    def test_no_keys_and_an_address_that_is_none(self, open_files: OpenFiles) -> None:
        files = open_files(access_key_id=None, secret_access_key=None)
        for sentence in refusals(files, ConfigurationError):
            assert "Unable to locate credentials" in sentence
        with pytest.raises(ConfigurationError, match="Invalid endpoint: not an address"):
            open_files(endpoint_url="not an address")


def refusals(files: S3Files, kind: type[Exception]) -> list[str]:
    """Return each operation's error, all of the same kind and in one line."""
    said: list[str] = []

    def note(operation: Any) -> None:
        with pytest.raises(kind) as raised:
            operation()
        said.append(str(raised.value))
        assert "\n" not in said[-1]
        assert len(said[-1]) < 300

    note(lambda: files.path("a"))
    note(lambda: files.tail("a", 8))
    note(lambda: files.entry("a"))
    note(lambda: list(files.entries()))
    note(lambda: files.folders())
    note(lambda: write(files, "a", b"a"))
    note(lambda: files.remove("a"))
    note(lambda: files.exclusive("a").__enter__())
    return said
