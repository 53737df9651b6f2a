"""Files and folders are replaced whole, or stay as they were."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from mediafm_core.disk.atomic import atomic_file, atomic_folder, replace_folder
from mediafm_core.disk.cache_folders import cache_folder, user_cache
from mediafm_core.errors import ConfigurationError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFiles:
    def test_a_file_takes_the_place_of_the_one_before(self, tmp_path: Path) -> None:
        path = tmp_path / "vectors.npy"
        path.write_text("old")
        with atomic_file(path) as prepared:
            prepared.write_text("new")
            assert path.read_text() == "old"
            assert (prepared.parent, prepared.suffix) == (tmp_path, ".npy")
        assert path.read_text() == "new"
        assert names(tmp_path) == ["vectors.npy"]

    def test_an_error_leaves_the_file_before(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text("old")
        with suppress(InterruptedError), atomic_file(path) as prepared:
            prepared.write_text("ne")
            raise InterruptedError
        assert path.read_text() == "old"
        assert names(tmp_path) == ["a.json"]

    def test_the_longest_name_can_be_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / f"{'x' * 250}.json"
        with atomic_file(path) as prepared:
            prepared.write_text("new")
        assert path.read_text() == "new"

    def test_permissions_are_those_of_new_files(self, tmp_path: Path) -> None:
        (tmp_path / "plain").touch()
        with atomic_file(tmp_path / "new") as prepared:
            prepared.touch()
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


class TestFolders:
    def test_a_folder_appears_when_it_is_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "models" / "a@1"
        with atomic_folder(path, durable=True) as prepared:
            (prepared / "weights").write_text("1")
            assert not path.exists()
        assert names(path) == ["weights"]
        assert names(path.parent) == ["a@1"]

    def test_an_error_leaves_nothing(self, tmp_path: Path) -> None:
        with suppress(InterruptedError), atomic_folder(tmp_path / "a") as prepared:
            (prepared / "weights").write_text("1")
            raise InterruptedError
        assert names(tmp_path) == []

    @pytest.mark.parametrize(("is_replaced", "kept"), [(False, "old"), (True, "new")])
    def test_one_that_is_there_stays_unless_it_is_to_be_replaced(
        self, is_replaced: bool, kept: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "a"
        path.mkdir()
        (path / "weights").write_text("old")
        with atomic_folder(path, is_replaced=lambda _path: is_replaced) as prepared:
            (prepared / "weights").write_text("new")
        assert (path / "weights").read_text() == kept
        assert names(tmp_path) == ["a"]

    def test_the_folder_before_comes_back_where_the_new_one_cannot_be_moved(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, prepared = tmp_path / "a", tmp_path / "prepared"
        path.mkdir()
        (path / "weights").write_text("old")
        prepared.mkdir()
        rename = Path.rename

        def failing(source: Path, target: Path) -> Path:
            if source == prepared:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return rename(source, target)

        monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            replace_folder(prepared, path)
        assert (path / "weights").read_text() == "old"


class TestCacheFolders:
    def test_the_one_of_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert user_cache() == tmp_path / "mediafm"
        assert not user_cache().exists()
        assert cache_folder("digests") == tmp_path / "mediafm" / "digests"
        assert cache_folder("digests").is_dir()
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert user_cache() == Path.home() / ".cache" / "mediafm"

    def test_one_that_cannot_be_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mediafm").write_text("no folder")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(ConfigurationError, match="set XDG_CACHE_HOME to a folder"):
            cache_folder("digests")
