"""Folder names with any characters work, or are refused at the start."""

from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from films import SAMPLES, ingest_titles, make_title, settings_for
from small_catalogue import SmallCatalogue

import mediafm_core
from mediafm_assets.resources.instance import dagster_home, open_instance
from mediafm_core.api.clip_search import build_index
from mediafm_core.cli.main import main
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.store.features import clean
from mediafm_core.store.store import Store

# Each with a folder beside it that it would match as a pattern.
_PATTERNS = {"a*b": "axb", "a[b]c": "abc", "**": "x", "[!a]": "b", "a[b": "ab", "{a,b}": "a"}
_OTHERS = [
    "a b",
    " a ",
    "a#b",
    "100% a",
    "a'b",
    'a"b',
    "a;b",
    "a&b=c",
    "a:b",
    "a,b",
    "file:",
    "~",
    "$HOME",
    "-a",
    ".a",
    "a\nb",
    "a\x1b[31mb",
    "ä 日本",
]


@pytest.mark.parametrize("name", [*_PATTERNS, *_OTHERS], ids=ascii)
def test_a_store(name: str, tmp_path: Path) -> None:
    beside = SmallCatalogue(tmp_path / _PATTERNS.get(name, "beside") / "store")
    beside.filled("gamma")
    small = SmallCatalogue(tmp_path / name / "store").filled("alpha")
    small.filled("beta")  # another shard, by what is published already
    titles = "SELECT title_id FROM titles ORDER BY ALL"
    assert mediafm_core.sql(titles, store=small.root)["title_id"].to_pylist() == ["alpha", "beta"]
    with duckdb.connect(str(small.store.features), read_only=True) as connection:
        assert connection.execute(titles).fetchall() == [("alpha",), ("beta",)]
    build_index(small.root)
    nearest = mediafm_core.similar("alpha", 0.0, 10.0, store=small.root)
    assert set(nearest["title_id"].to_pylist()) == {"alpha", "beta"}
    clean(small.store, [], grace_s=0.0)
    assert mediafm_core.sql("FROM shots", store=small.root).num_rows == 40
    with open_instance(small.store) as instance:
        instance.add_dynamic_partitions("titles", ["alpha"])
    assert (dagster_home(small.store) / "schedules" / "schedules.db").exists()
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {name, _PATTERNS.get(name, "beside")}


@pytest.mark.parametrize("name", ["a?b", "a\\b", "a\\*b"])
def test_what_duckdb_takes_for_something_else_is_refused(name: str, tmp_path: Path) -> None:
    store = tmp_path / name / "store"
    (tmp_path / "inbox").mkdir()
    for command in (["run"], ["status"], ["sql", "FROM titles"], ["ui"], ["clean"]):
        result = CliRunner().invoke(
            main, [*command, "--store", str(store), "--inbox", str(tmp_path / "inbox")]
        )
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: The store {store} has a ")
        assert result.stderr.endswith("rename the folder, or name another.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["inbox"]


def test_a_link_to_such_a_folder_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "a?b").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "a?b")
    with pytest.raises(ConfigurationError, match=f"The store {link} has a"):
        load_settings(store=link).require_store()
    cache = {"cache": tmp_path / "a?b"}
    with pytest.raises(ConfigurationError, match=r"The folder s3\.cache, .* has a"):
        load_settings(store="s3://films/a", s3=cache).require_store()


@pytest.mark.parametrize("name", ["a?b", "a%20b"])
def test_what_sqlite_takes_for_something_else_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / name))
    with pytest.raises(ConfigurationError, match="set DAGSTER_HOME to another folder"):
        open_instance(Store(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []


def test_patterns_in_s3_are_refused() -> None:
    for name in ("a*b", "a?b", "a[b]", "a\\b"):
        with pytest.raises(ConfigurationError, match="in its prefix, which stands for a pattern"):
            load_settings(store=f"s3://films/{name}/store")


def test_a_title_is_ingested_from_such_a_folder_and_file(tmp_path: Path) -> None:
    inbox, store = (tmp_path / f"{kind} [a]*#%'\";&{{}}$~ä\n日" for kind in ("inbox", "store"))
    folder = make_title(inbox, "cat", SAMPLES / "a_cat_in_the_city", seconds=5.0)
    [media] = folder.glob("media.*")
    media.rename(folder / f"100% [x]* ? # 'a' \"b\"; \\ ä\n日{media.suffix}")
    platform = Platform(settings_for(inbox, store))
    outcomes = ingest_titles(platform, ["cat"])
    assert {outcome.status for outcome in outcomes.values()} == {"computed"}, outcomes
    assert mediafm_core.sql("FROM clips", store=store).num_rows
    out = tmp_path / "out ?*[a]#%20.parquet"
    labels = tmp_path / "labels ?*[a]#%20.csv"
    labels.write_text("title_id,start_s,end_s,mood\ncat,0,2,calm\n")
    mediafm_core.export(out, labels=labels, store=store)
    assert len(mediafm_core.TrainingSet.open(out)) == 1
