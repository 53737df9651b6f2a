"""Garbage collection removes artefacts of obsolete models and keeps those in use."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from films import ingest_titles

from mediafm_core.cli.main import main
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.planning.title_selection import select_titles
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_at_once
from mediafm_core.pipeline.releases.garbage_collection import clean_up, obsolete_models
from mediafm_core.pipeline.releases.release import release, rollback
from mediafm_core.pipeline.serving import Release
from mediafm_core.store.features import catalogue as published

DAY_S = 24 * 3600


def releases(*models: str | int) -> list[Release]:
    """Make a history; a number is a rollback that restores the release in that place."""
    history: list[Release] = []
    for each in models:
        model = each if isinstance(each, str) else history[each].model
        restores = None if isinstance(each, str) else each
        history.append(Release(model=model, released_at=datetime.now(UTC), restores=restores))
    return history


@pytest.mark.parametrize(
    ("history", "seen", "obsolete"),
    [
        ((), None, ""),
        (("a",), "a", ""),
        (("a", "b"), "b", ""),
        (("a", "b", "c"), "c", "a"),
        (("a", "b", "c"), "b", ""),  # the refresh to c is under way: a is the one before
        (("a", "b", "c", "d"), "b", ""),
        (("a", "b", "c", "d", "e"), "c", "a"),
        (("a", "b", "c", 1), "b", ""),  # rolled back to b: a is what another rollback restores
        (("a", "b", "c", 1, 0), "a", "c"),
        (("a", "b", "a", "c"), "c", "b"),
        (("a", "b", "c", "d"), "gone", "ab"),
    ],
)
def test_obsolete_models(history, seen, obsolete):
    assert obsolete_models(releases(*history), seen) == set(obsolete)


def test_the_model_that_readers_saw_last_is_kept_after_a_release_without_cutover():
    history = releases("a", "b", "c", "d")
    assert obsolete_models(history, "d", published={"a", "b"}) == {"a"}
    assert obsolete_models(history, "d", published={"a"}) == {"b"}
    assert obsolete_models(history, "d", published={"c", "a"}) == {"a", "b"}


def test_readers_a_rollback_and_a_run_find_what_they_need(catalogue):
    models = [catalogue.platform().serving_model]
    for steps in (5, 6):
        platform = catalogue.platform(training={"steps": steps, "validate_every": steps})
        models.append(release(platform, train_model(platform).candidate).release.model)
        ingest_titles(platform, ["cat", "coffee"])
    assert len(set(models)) == 3
    for path in (catalogue.store / "features").rglob("*.*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * DAY_S))

    cleaned = clean_up(platform)
    assert cleaned.models == (models[0],)
    assert cleaned.artefacts == 2 * 4
    assert cleaned.bytes > 0
    assert folders_with_files(catalogue.store) == set(models[1:])
    assert {path.name for path in platform.store.models.iterdir()} >= set(models)
    assert clean_up(platform).artefacts == 0

    assert published(platform.store).model == models[2]
    assert select_titles(platform).work == []
    rollback(platform)
    assert publish_at_once(platform).outcome == "published"
    assert published(platform.store).model == models[1]
    assert select_titles(platform).work == []


def folders_with_files(store: Path) -> set[str]:
    assets = ("contextual_embeddings", "title_embeddings", "scenes", "clip_features", "features")
    return {
        path.relative_to(store / asset).parts[0]
        for asset in assets
        for path in (store / asset).rglob("*.*")
        if path.is_file()
    }


def test_a_refresh_under_way_goes_on(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    old = platform.serving_model
    new = release(platform, train_model(platform).candidate).release.model
    ingest_titles(platform, ["cat"])
    clean_up(platform)
    assert published(platform.store).model == old
    ingest_titles(platform, ["coffee"])
    assert published(platform.store).model == new


def test_the_command_prints_what_it_removed(catalogue, monkeypatch):
    monkeypatch.setenv("MEDIAFM_STORE", str(catalogue.store))
    before = published(Platform(catalogue.platform().settings).store)
    result = CliRunner().invoke(main, ["clean", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["models"] == []
    assert CliRunner().invoke(main, ["clean"]).stdout.startswith("0 artefacts of 0 models and ")
    assert published(catalogue.platform().store) == before
