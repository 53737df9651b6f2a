"""Verification and repair of a store of two short films."""

import json
from pathlib import Path

import pytest
from bits import flip, flip_at, remove_seal
from click.testing import CliRunner
from films import ingest_titles

from mediafm_core.api.catalogue_reader import sql
from mediafm_core.cli.main import main
from mediafm_core.errors import ConfigurationError
from mediafm_core.pipeline.integrity.repair import repair, repair_and_publish
from mediafm_core.pipeline.integrity.stored_files import stored_files
from mediafm_core.pipeline.integrity.verification import Share, verify, verify_again
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

TITLES = ["cat", "coffee"]


def damaged(platform) -> set[str]:
    """Return the damaged files found by a verification."""
    return {each.file.key for each in verify(platform).damaged}


def test_every_file_has_a_digest_and_any_flipped_bit_is_found(catalogue):
    platform = catalogue.platform()
    Quarantine(platform.store).add("left", "title", "It is no film.", "1")
    found = verify(platform)
    assert (found.damaged, found.unsealed) == ((), ())
    files = [file for file, _ in stored_files(platform.store)]
    assert found.files == len(files)
    everything = {entry.key for entry in platform.store.files.entries()}
    assert everything == {file.key for file in files}, "no file is left out"
    for file in files:
        path = catalogue.store / file.key
        content = path.read_bytes()
        for seed in range(3):
            flip(path, seed)
            assert [each.file for each in verify_again(platform, [file])] == [file]
            path.write_bytes(content)


def test_artefacts_computed_again_equal_the_removed_ones(catalogue, ingested):
    platform = catalogue.platform()
    slow = {"shots", "keyframes", "soundtrack", "video_embeddings", "audio_embeddings"}
    for file, _ in stored_files(platform.store):
        if file.kind != "model" and file.asset not in slow:
            flip(catalogue.store / file.key, seed=1)
    repaired = repair_and_publish(platform, verify(platform))
    assert repaired.left == []
    assert repaired.corrected == ["serving.json"]
    assert repaired.titles == set(TITLES)
    ingest_titles(platform, TITLES)
    assert verify(platform).damaged == ()
    assert differences(Store(ingested.store), platform.store) == []


@pytest.mark.parametrize("file", ["titles", "shots", "clips"])
def test_a_shard_is_written_again_from_the_artefacts(catalogue, ingested, file: str):
    platform = catalogue.platform()
    shards = (catalogue.store / "features" / platform.serving_model / file).iterdir()
    flip(next(shards), seed=2)
    assert repair(platform, verify(platform)).titles == set()
    assert verify(platform).damaged == ()
    assert differences(Store(ingested.store), platform.store) == []


def test_a_missing_shard_is_found_and_written_again(catalogue, ingested):
    platform = catalogue.platform()
    shard = next((catalogue.store / "features" / platform.serving_model / "clips").iterdir())
    shard.unlink()
    (found,) = verify(platform).damaged
    assert (found.file.kind, found.reason) == ("shard", "it is missing")
    repair_and_publish(platform, verify(platform))
    assert verify(platform).damaged == ()
    assert differences(Store(ingested.store), platform.store) == []


def test_a_missing_soundtrack_is_found(catalogue):
    platform = catalogue.platform()
    (catalogue.store / "soundtrack" / "cat.flac").unlink()
    assert damaged(platform) == {"soundtrack/cat.flac"}
    assert repair(platform, verify(platform)).titles == {"cat"}


def test_a_damaged_model_is_reported_with_the_remedy(catalogue):
    platform = catalogue.platform()
    model = platform.serving_model
    weights = catalogue.store / "models" / model / "model.safetensors"
    flip_at(weights, -5)
    repaired = repair(platform, verify(platform))
    (left,) = repaired.left
    assert left.startswith(f"{weights} is damaged: its SHA-256 has changed")
    assert left.endswith("copy its folder back, or train and release another one.")
    assert weights.exists()


@pytest.mark.parametrize("name", ["config.json", "training.json"])
def test_a_flipped_bit_in_a_models_json_is_found_and_corrected(catalogue, name: str):
    platform = catalogue.platform()
    path = catalogue.store / "models" / platform.serving_model / name
    before = path.read_bytes()
    flip_at(path, 20, 4)
    assert repair(platform, verify(platform)).left == []
    assert path.read_bytes() == before


def test_a_damaged_quarantine_entry_is_ignored(catalogue):
    platform = catalogue.platform()
    Quarantine(platform.store).add("cat", "title", "It is no film.", "1")
    flip_at(catalogue.store / "quarantine" / "cat.json", 30)
    assert Quarantine(platform.store).get("cat") is None
    assert repair(platform, verify(platform)).titles == {"cat"}


def test_artefacts_of_a_title_outside_the_inbox_are_not_removed(catalogue):
    platform = catalogue.platform()
    (catalogue.inbox / "cat").rename(catalogue.inbox.parent / "cat")
    path = catalogue.store / "shots" / "cat.parquet"
    flip(path)
    (left,) = repair(platform, verify(platform)).left
    assert "put it back, or `mediafm retire cat`" in left
    assert path.exists()


def test_a_store_of_an_earlier_version_gets_digests_without_recomputing(catalogue, ingested):
    platform = catalogue.platform()
    for file, _ in stored_files(platform.store):
        remove_seal(catalogue.store / file.key)
    found = verify(platform)
    assert found.damaged == ()
    assert len(found.unsealed) == found.files
    repaired = repair(platform, found)
    assert repaired.removed == []
    assert not repaired.titles
    assert str(verify(platform)).endswith("none damaged")
    assert differences(Store(ingested.store), platform.store) == []
    assert {each.num_rows for each in [sql("FROM titles", store=catalogue.store)]} == {2}


def test_each_file_is_in_one_of_the_parts(catalogue):
    platform = catalogue.platform()
    parts = [verify(platform, share=Share(number, 5)).files for number in range(5)]
    assert sum(parts) == verify(platform).files
    assert max(parts) < sum(parts)


def test_verification_of_selected_titles(catalogue):
    platform = catalogue.platform()
    flip(catalogue.store / "shots" / "cat.parquet")
    assert verify(platform, ["coffee"]).damaged == ()
    assert len(verify(platform, ["cat"]).damaged) == 1
    with pytest.raises(ConfigurationError, match="has no files of the title 'dog'"):
        verify(platform, ["dog"])


class TestCommand:
    """Tests of the command `mediafm verify`."""

    def call(self, catalogue, *options: str):
        places = ["--inbox", str(catalogue.inbox), "--store", str(catalogue.store)]
        return CliRunner().invoke(main, ["verify", *options, *places])

    def test_a_line_for_each_damaged_file(self, catalogue):
        done = self.call(catalogue)
        assert (done.exit_code, done.stdout.endswith("none damaged.\n")) == (0, True)
        path = catalogue.store / "shots" / "cat.parquet"
        flip(path)
        done = self.call(catalogue)
        assert done.exit_code == 1
        line, summary, remedy = done.stdout.splitlines()
        assert line.startswith(f"{path} is damaged: its ")
        assert summary.endswith(": 1 damaged.")
        assert "--repair" in remedy

    def test_json(self, catalogue):
        flip(catalogue.store / "shots" / "cat.parquet")
        done = self.call(catalogue, "--json", "--titles", "cat")
        found = json.loads(done.stdout)
        assert [each["file"] for each in found["damaged"]] == ["shots/cat.parquet"]
        assert (found["without_digest"], found["repaired"], done.exit_code) == (0, None, 1)

    def test_repair_computes_it_again_as_run_does(
        self, catalogue, ingested, monkeypatch: pytest.MonkeyPatch
    ):
        from films import SMALL_MODEL

        for name, value in SMALL_MODEL.items():
            monkeypatch.setenv(name, value)
        platform = catalogue.platform()
        model = platform.serving_model
        for key in ("fused_embeddings/cat.parquet", f"clip_features/{model}/coffee.parquet"):
            flip(catalogue.store / key)
        flip(next((catalogue.store / "features" / model / "titles").iterdir()))
        done = self.call(catalogue, "--repair", "--json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)["repaired"]
        assert (found["titles"], found["left"]) == (TITLES, [])
        assert self.call(catalogue).exit_code == 0
        assert differences(Store(ingested.store), Store(catalogue.store)) == []

    def test_a_missing_store_is_an_error(self, tmp_path: Path):
        done = CliRunner().invoke(main, ["verify", "--store", str(tmp_path / "none")])
        assert done.exit_code == 1
        assert "There is no store in" in done.stderr
