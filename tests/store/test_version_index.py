"""The index of recorded versions equals the files' content, after any change to either."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_catalogue import MODEL, OTHER_MODEL, SmallCatalogue

from mediafm_core.errors import StoreError
from mediafm_core.storage.local import LocalFiles
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.store.store import Store
from mediafm_core.store.version_index import FOLDER, VersionIndex

TITLES = ("alpha", "beta.2", "gamma")
FOLDERS = (
    ("title", ""),
    ("shots", ""),
    ("soundtrack", ""),
    ("contextual_embeddings", MODEL),
    ("contextual_embeddings", OTHER_MODEL),
)


@pytest.fixture
def small(tmp_path: Path) -> SmallCatalogue:
    small = SmallCatalogue(tmp_path / "store")
    for title_id in TITLES:
        small.write(title_id)
        write_soundtrack(small.store, title_id)
    return small


def write_soundtrack(store: Store, title_id: str, version: str = "1") -> None:
    record = ArtefactRecord(asset="soundtrack", title_id=title_id, data_version=version)
    with store.staging() as folder:
        (folder / "sound.flac").write_bytes(b"sound")
        store.commit(folder / "sound.flac", store.key("soundtrack", title_id, suffix=".flac"))
    store.write_json(record, {"file": f"{title_id}.flac"})


class CountingFiles(LocalFiles):
    """Files that count how many are opened for their records."""

    opened = 0

    def tail(self, key: str, size: int) -> bytes:
        self.opened += 1
        return super().tail(key, size)

    def path(self, key: str, **options: bool) -> Path:
        self.opened += key.endswith(".json")
        return super().path(key, **options)


def answers(source: object, titles: tuple[str, ...] = (*TITLES, "new")) -> list[object]:
    """Return what a store or an index gives for every file."""

    def ask(asset: str, title_id: str, variant: str) -> object:
        try:
            return source.version(asset, title_id, variant)
        except StoreError as error:
            return str(error)

    return [
        [ask(asset, title_id, variant) for asset, variant in FOLDERS]
        + [source.has("soundtrack", title_id, suffix=".flac"), source.has("shots", title_id)]
        for title_id in titles
    ]


def test_answers_are_those_of_the_files(small):
    expected = answers(small.store)
    index = VersionIndex(small.store)
    assert answers(index.look(FOLDERS)) == expected
    record = small.store.record("shots", "alpha")
    version = index.look(FOLDERS).version("shots", "alpha")
    assert (version.data_version, version.inputs) == (record.data_version, record.inputs)
    assert index.look(FOLDERS).title_ids() == set(TITLES)


def test_files_are_opened_once_and_again_when_they_have_changed(small):
    VersionIndex(small.store).look(FOLDERS)
    files = CountingFiles(small.root)
    index = VersionIndex(Store(files))
    index.look(FOLDERS)
    assert files.opened == 0, "another process has read them before"
    small.write("alpha", edition=2)
    index.look(FOLDERS)
    assert files.opened == 3, "title, shots and contextual embeddings"
    index.look(FOLDERS)
    assert files.opened == 3


def truncate(store: Store, title_id: str, choice: random.Random) -> None:
    path = existing(store, title_id, choice)
    path.write_bytes(path.read_bytes()[: choice.randrange(200)])


def overwrite(store: Store, title_id: str, choice: random.Random) -> None:
    """Change bytes in the footer or the JSON, keeping the length, with another time."""
    path = existing(store, title_id, choice)
    content = bytearray(path.read_bytes())
    for _ in range(3):
        content[-1 - choice.randrange(min(len(content), 400))] = choice.randrange(256)
    replacement = path.with_suffix(".new")
    replacement.write_bytes(content)
    replacement.replace(path)


def delete(store: Store, title_id: str, choice: random.Random) -> None:
    existing(store, title_id, choice).unlink()


def lose_the_sound(store: Store, title_id: str, choice: random.Random) -> None:
    store.path("soundtrack", title_id, suffix=".flac").unlink(missing_ok=True)


def compute_again(store: Store, title_id: str, choice: random.Random) -> None:
    model = choice.choice((MODEL, OTHER_MODEL))
    SmallCatalogue(store.root).write(title_id, model, edition=choice.randrange(1000))
    write_soundtrack(store, title_id, str(choice.random()))


def add_a_title(store: Store, title_id: str, choice: random.Random) -> None:
    SmallCatalogue(store.root).write("new", edition=choice.randrange(1000))


def lose_the_index(store: Store, title_id: str, choice: random.Random) -> None:
    for path in (store.root / FOLDER).rglob("*.parquet"):
        path.unlink()


def damage_the_index(store: Store, title_id: str, choice: random.Random) -> None:
    for path in (store.root / FOLDER).rglob("*.parquet"):
        content = path.read_bytes()
        place = choice.randrange(4, len(content)) if content else 0
        other = bytes([content[place] ^ 16]) if content else b""
        altered = content[:place] + other + content[place + 1 :]
        path.write_bytes(choice.choice((b"", content[:50], b"PAR1" * 10, altered)))


def existing(store: Store, title_id: str, choice: random.Random) -> Path:
    """Return one of the title's files with a record."""
    paths = [
        store.path(asset, title_id, variant, suffix)
        for asset, variant in FOLDERS
        for suffix in (".json", ".parquet")
    ]
    found = [path for path in paths if path.exists()]
    if found:
        return choice.choice(found)
    SmallCatalogue(store.root).write(title_id)
    return store.path("shots", title_id)


CHANGES: tuple[Callable[[Store, str, random.Random], None], ...] = (
    *(truncate, overwrite, delete, lose_the_sound, compute_again, add_a_title),
    *(lose_the_index, damage_the_index),
)


class RemoteFiles(LocalFiles):
    """Files that are listed and read in threads, as those of S3 are."""

    is_remote = True


@pytest.mark.parametrize("seed", range(8))
def test_answers_are_those_of_the_files_after_any_change(small, seed):
    choice = random.Random(seed)
    lasting = VersionIndex(Store(small.root))  # as a sensor keeps it between its ticks
    for _ in range(20):
        for _ in range(choice.randrange(1, 4)):
            choice.choice(CHANGES)(small.store, choice.choice(TITLES), choice)
        expected = answers(Store(small.root))
        assert answers(lasting.look(FOLDERS)) == expected
        assert answers(VersionIndex(Store(small.root)).look(FOLDERS)) == expected, "from its file"
        remote = VersionIndex(Store(RemoteFiles(small.root)))
        assert answers(remote.look(FOLDERS)) == expected


def test_an_index_of_another_format_is_not_believed(small):
    import pyarrow.parquet as pq

    VersionIndex(small.store).look(FOLDERS)
    path = small.root / FOLDER / "shots.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"mediafm_versions": "0"}), path)
    files = CountingFiles(small.root)
    VersionIndex(Store(files)).look([("shots", "")])
    assert files.opened == len(TITLES)


def test_a_model_that_was_cleaned_away_leaves_no_index(small):
    small.write("alpha", OTHER_MODEL)
    index = VersionIndex(small.store)
    index.look(FOLDERS)
    folder = small.root / FOLDER / "contextual_embeddings"
    assert {path.stem for path in folder.iterdir()} == {MODEL, OTHER_MODEL}
    (small.root / "contextual_embeddings" / OTHER_MODEL / "alpha.parquet").unlink()
    index.look(FOLDERS)
    assert {path.stem for path in folder.iterdir()} == {MODEL}


def test_a_store_that_cannot_be_written_is_read_every_time(small, caplog):
    (small.root / FOLDER).write_text("no folder")
    expected = answers(small.store)
    assert answers(VersionIndex(small.store).look(FOLDERS)) == expected
    assert "read again next time" in caplog.text


def test_looking_creates_nothing_where_there_is_no_store(tmp_path):
    store = Store(tmp_path / "none")
    assert VersionIndex(store).look(FOLDERS).title_ids() == set()
    assert not store.root.exists()


WRITER = """
import sys
from pathlib import Path
from mediafm_core.store.store import Store
from mediafm_core.store.version_index import VersionIndex
folders = [("title", ""), ("shots", ""), ("contextual_embeddings", sys.argv[2])]
for _ in range(25):
    store = Store(Path(sys.argv[1]))
    (store.root / ".versions" / "shots.parquet").unlink(missing_ok=True)
    assert VersionIndex(store).look(folders).version("title", "alpha") is not None
"""


def test_processes_may_write_it_at_once(small):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(small.root), MODEL]) for _ in range(3)
    ]
    index = VersionIndex(small.store)
    for edition in range(10):
        small.write("alpha", edition=edition)
        assert answers(index.look(FOLDERS)) == answers(Store(small.root))
    assert [writer.wait(300) for writer in writers] == [0, 0, 0]
    expected = answers(Store(small.root))
    assert answers(VersionIndex(Store(small.root)).look(FOLDERS)) == expected
    assert not list((small.root / ".staging").iterdir())
