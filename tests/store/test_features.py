"""Publication to DuckDB: readers see complete states, and are never disturbed."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from small_catalogue import HIDDEN, MODEL, OTHER_MODEL, SmallCatalogue

from mediafm_core.errors import StoreError
from mediafm_core.pipeline.integrity.stored_files import missing_files
from mediafm_core.store.features import (
    Conditions,
    TitleVersions,
    catalogue,
    clean,
    publish_earlier_model,
    remove,
)
from mediafm_core.store.features.feature_tables import TABLES, VERSION
from mediafm_core.store.features.snapshot_writer import recorded_versions
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy


@pytest.fixture
def small(tmp_path: Path) -> SmallCatalogue:
    # A folder name that SQL, globs and hive partitioning would trip over.
    return SmallCatalogue(tmp_path / "it's model=x [1]")


def query(small: SmallCatalogue, sql: str) -> list[tuple]:
    """Query as any DuckDB client would: by a plain connection of its own."""
    with duckdb.connect(str(small.store.features), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def contents(small: SmallCatalogue) -> dict[str, list[tuple]]:
    return {table: query(small, f"SELECT * FROM {table} ORDER BY ALL") for table in TABLES}


def state_of_file(small: SmallCatalogue) -> tuple[int, int]:
    status = small.store.features.stat()
    return status.st_ino, status.st_mtime_ns


def test_every_table_holds_what_parquet_holds(small: SmallCatalogue) -> None:
    small.write("alpha", shots=20)
    small.write("beta", shots=7)
    publication = small.publish("beta", "alpha")

    assert (publication.outcome, publication.titles) == ("published", 2)
    assert query(small, "FROM catalogue") == [(MODEL, HIDDEN, VERSION, 2)]
    titles = query(small, "SELECT title_id, name, tags, duration_s, shots FROM titles ORDER BY 1")
    assert titles == [
        ("alpha", "The Alpha", ["a", "b'c"], 150.0, 20),
        ("beta", "Béta d'été", ["a", "b'c"], 52.5, 7),
    ]
    with duckdb.connect(str(small.store.features), read_only=True) as connection:
        for table, asset in (
            ("shots", "contextual_embeddings"),
            ("clip_features", "clip_features"),
            ("title_features", "title_embeddings"),
        ):
            # Insertion order is kept within a title.
            found = connection.sql(f"SELECT * FROM {table} WHERE title_id = 'alpha'")
            published = found.to_arrow_table()
            parquet = small.store.read(asset, "alpha", MODEL)
            assert published.schema.field("embedding").type == pa.list_(pa.float32(), HIDDEN)
            np.testing.assert_array_equal(
                to_numpy(published["embedding"]), to_numpy(parquet["embedding"])
            )
    rows = query(
        small,
        "SELECT shot_index, start_s, end_frame, text, has_text FROM shots "
        "WHERE title_id = 'beta' AND shot_index < 2 ORDER BY ALL",
    )
    assert rows == [(0, 0.0, 179, None, False), (1, 7.5, 359, "“beta” says 1", True)]
    scenes = query(small, "FROM scenes WHERE title_id = 'beta' ORDER BY scene_index")
    assert scenes == [
        ("beta", 0, 0.0, 22.5, 0, 2, 3, 1.0),
        ("beta", 1, 22.5, 45.0, 3, 5, 3, 1.0),
        ("beta", 2, 45.0, 52.5, 6, 6, 1, 1.0),
    ]
    clips = small.store.read("clip_features", "beta", MODEL).drop_columns("embedding")
    assert query(small, "SELECT count(*) FROM clips WHERE title_id = 'beta'") == [(len(clips),)]
    assert query(small, "SELECT DISTINCT proposed FROM clips") == [(True,)]


def test_publishing_the_same_again_writes_nothing(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    before = state_of_file(small)
    assert small.publish("alpha", "beta").outcome == "unchanged"
    assert small.publish().outcome == "unchanged"
    assert state_of_file(small) == before


def test_changed_title_is_replaced_and_the_others_stay(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    before = contents(small)
    small.write("alpha", shots=5, edition=2)
    publication = small.publish("alpha", "beta")
    assert publication.changed == 1
    after = contents(small)
    assert [row for row in after["shots"] if row[0] == "beta"] == [
        row for row in before["shots"] if row[0] == "beta"
    ]
    assert query(small, "SELECT title_id, shots FROM titles ORDER BY 1") == [
        ("alpha", 5),
        ("beta", 20),
    ]
    assert sum(row[0] == "alpha" for row in after["shots"]) == 5


def test_order_and_portions_do_not_change_the_result(tmp_path: Path) -> None:
    once, portions = SmallCatalogue(tmp_path / "once"), SmallCatalogue(tmp_path / "portions")
    once.filled("alpha", "beta", "gamma")
    portions.filled("gamma").filled("alpha").filled("beta")
    assert contents(once) == contents(portions)


def kept(*title_ids: str) -> Conditions:
    """Return conditions under which these titles stay published, whatever their versions."""
    return Conditions(
        kept=lambda seen: set(seen) & set(title_ids),
        current=lambda asked: {name: TitleVersions("", "") for name in asked},
    )


def test_removed_titles_are_in_no_table_and_in_no_model(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta", "gamma")
    for title_id in ("alpha", "beta", "gamma"):
        small.write(title_id, OTHER_MODEL)
    small.publish(model=OTHER_MODEL)
    assert remove(small.store, ["beta", "gamma", "unknown"]) == 2
    assert remove(small.store, ["beta", "gamma"]) == 0
    assert publish_earlier_model(small.store, MODEL) is not None
    found = contents(small)
    for table in TABLES[1:]:
        assert {row[0] for row in found[table]} == {"alpha"}, table
    assert found["catalogue"] == [(MODEL, HIDDEN, VERSION, 1)]
    assert remove(small.store, ["alpha"]) == 1
    empty = {table: [] for table in TABLES}
    assert contents(small) == {**empty, "catalogue": [(MODEL, HIDDEN, VERSION, 0)]}
    assert small.publish("beta").titles == 1


def test_new_model_is_held_back_until_every_title_has_it(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta", "gamma")
    before = state_of_file(small)

    small.write("alpha", OTHER_MODEL)
    held = small.publish("alpha", model=OTHER_MODEL)
    assert (held.outcome, held.waiting) == ("held back", ("beta", "gamma"))
    assert str(held) == "held back: 1 of 3 titles ready"
    assert state_of_file(small) == before

    small.write("beta", OTHER_MODEL)  # and its run is killed before it can publish
    small.write("gamma", OTHER_MODEL)
    assert small.publish("gamma", model=OTHER_MODEL).outcome == "published"
    assert query(small, "SELECT model_version, titles FROM catalogue") == [(OTHER_MODEL, 3)]
    assert query(small, "SELECT DISTINCT model_version FROM clip_features") == [(OTHER_MODEL,)]


def test_no_file_is_missing_after_a_cutover_that_was_held_back(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    for title_id in ("alpha", "beta"):
        small.write(title_id, OTHER_MODEL)
        small.publish(title_id, model=OTHER_MODEL)
    for title_id in ("alpha", "beta"):
        small.write(title_id, OTHER_MODEL, edition=2)
        small.publish(title_id, model=OTHER_MODEL)
    clean(small.store, (), grace_s=0.0)
    assert list(missing_files(small.store)) == []


def test_title_that_is_out_of_date_holds_the_new_model_back(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    small.write("alpha", OTHER_MODEL)
    small.write("beta", OTHER_MODEL)
    versions = recorded_versions(small.store, OTHER_MODEL, ["alpha", "beta"])
    late = Conditions(kept=set, current=lambda _: {"alpha": versions["alpha"]})
    held = small.publish("alpha", "beta", model=OTHER_MODEL, conditions=late)
    assert (held.outcome, held.waiting, held.ready) == ("held back", ("beta",), 1)

    # Computed again, but not published: it is by the cut-over at the latest.
    small.write("beta", OTHER_MODEL, shots=5, edition=2)
    versions = recorded_versions(small.store, OTHER_MODEL, ["alpha", "beta"])
    done = Conditions(kept=set, current=lambda _: versions)
    assert small.publish(model=OTHER_MODEL, conditions=done).outcome == "published"
    assert query(small, "SELECT shots FROM titles WHERE title_id = 'beta'") == [(5,)]


def test_title_that_is_given_up_does_not_hold_a_new_model_back(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    small.write("alpha", OTHER_MODEL)
    publication = small.publish("alpha", model=OTHER_MODEL, conditions=kept("alpha"))
    assert (publication.outcome, publication.titles, publication.removed) == ("published", 1, 1)


def test_earlier_model_is_published_again_at_once_as_it_was(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    before = contents(small)
    assert publish_earlier_model(small.store, OTHER_MODEL) is None  # it never was published
    for title_id in ("alpha", "beta", "arrived"):
        small.write(title_id, OTHER_MODEL)
    small.publish("alpha", "beta", "arrived", model=OTHER_MODEL)
    later = contents(small)
    small.write("beta", OTHER_MODEL, shots=7, edition=2)
    small.publish("beta", model=OTHER_MODEL)

    publication = publish_earlier_model(small.store, MODEL)
    assert publication is not None
    assert str(publication) == (
        "published: 2 titles written, 1 removed, 2 in all; 2 follow with the next run"
    )
    assert contents(small) == before
    again = publish_earlier_model(small.store, OTHER_MODEL)
    assert again is not None
    assert again.following == 1, "of the earlier model, beta is of the former edition"
    assert len(contents(small)["shots"]) == len(later["shots"]) - 13


def test_model_that_never_was_complete_is_not_published(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    small.write("alpha", OTHER_MODEL)
    small.publish("alpha", model=OTHER_MODEL)
    assert publish_earlier_model(small.store, OTHER_MODEL) is None
    assert query(small, "SELECT model_version, titles FROM catalogue") == [(MODEL, 2)]


def test_title_without_features_is_refused(small: SmallCatalogue) -> None:
    small.filled("alpha")
    with pytest.raises(StoreError, match=r"beta has no clip features of mediafm-1@a+ to publish"):
        small.publish("alpha", "beta")


def test_shots_that_disagree_are_refused_and_change_nothing(small: SmallCatalogue) -> None:
    small.filled("alpha")
    before = contents(small)
    small.write("alpha", edition=2)
    text = small.store.read("timed_text", "alpha")
    record = small.store.record("timed_text", "alpha")
    assert record is not None
    small.store.write(record, text.slice(0, 18))
    with pytest.raises(StoreError, match="alpha has 20 shots, of which 18 have"):
        small.publish("alpha")
    assert contents(small) == before


def test_missing_artefact_is_named_and_changes_nothing(small: SmallCatalogue) -> None:
    small.filled("alpha")
    before = contents(small)
    small.write("beta")
    small.store.remove("fused_embeddings", "beta")
    with pytest.raises(StoreError, match=r"beta has no fused_embeddings in .*: run it first"):
        small.publish("beta")
    assert contents(small) == before
    assert not list((small.root / ".staging").iterdir())


def test_damaged_file_says_what_to_do(small: SmallCatalogue) -> None:
    small.filled("alpha")
    small.store.features.write_bytes(b"no database")
    with pytest.raises(StoreError, match="rebuild it with `mediafm verify --repair`"):
        catalogue(small.store)


def test_reader_in_another_process_keeps_its_answer_and_never_waits(small: SmallCatalogue) -> None:
    small.filled("alpha")
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(small.store.features)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    with reader:
        assert reader.stdout.readline() == "1\n"
        small.filled("beta")  # while the reader holds its connection open
        reader.stdin.write("again\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "1\n"
        reader.stdin.close()
    assert reader.returncode == 0
    assert query(small, "SELECT count(*) FROM titles") == [(2,)]


_READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
def count():
    print(connection.execute("SELECT count(*) FROM titles").fetchone()[0], flush=True)
count()
sys.stdin.readline()
count()
"""


def test_connection_in_the_same_process_does_not_hide_a_new_file(small: SmallCatalogue) -> None:
    small.filled("alpha")
    with duckdb.connect(str(small.store.features), read_only=True) as connection:
        small.filled("beta")
        assert connection.execute("SELECT count(*) FROM titles").fetchall() == [(1,)]
        found = catalogue(small.store)
        assert found is not None
        assert set(found.versions) == {"alpha", "beta"}


def test_killed_writer_leaves_the_old_file(small: SmallCatalogue) -> None:
    small.filled("alpha")
    before = contents(small)
    small.write("beta")
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_publish_and_die, args=(small.root,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert contents(small) == before
    assert list((small.root / ".staging").iterdir())  # it died in the middle
    small.store.sweep()
    assert not list((small.root / ".staging").iterdir())
    assert small.publish("alpha", "beta").changed == 1  # the lock died with it


def _publish_and_die(root: Path) -> None:
    """Publish until the new file is complete, and die before it is moved into place."""

    def die(prepared: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGKILL)
        return target

    Store.commit = staticmethod(die)  # type: ignore[assignment,method-assign]
    SmallCatalogue(root).publish("beta")


def test_writers_in_several_processes_take_turns(small: SmallCatalogue) -> None:
    names = [f"title-{number}" for number in range(3)]
    for name in names:
        small.write(name)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_publish, args=(small.root, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(names)
    assert query(small, "SELECT title_id FROM titles ORDER BY 1") == [(name,) for name in names]


def _publish(root: Path, title_id: str) -> None:
    SmallCatalogue(root).publish(title_id)


def test_every_client_since_duckdb_1_0_opens_the_file(small: SmallCatalogue) -> None:
    """DuckDB 2 writes format 69 unless it is given another; its first stable one is 64."""
    small.write("alpha")
    small.publish("alpha")
    header = small.store.features.read_bytes()[:20]
    assert (header[8:12], int.from_bytes(header[12:20], "little")) == (b"DUCK", 64)
