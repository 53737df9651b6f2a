"""Effects of a release on titles and on readers of the catalogue, with real titles."""

import shutil

import pytest
from click.testing import CliRunner
from films import SMALL_MODEL, ingest_titles

import mediafm_core
import mediafm_core.inference.whole_title
from mediafm_core.cli.main import main
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.planning.asset_states import title_state
from mediafm_core.pipeline.planning.title_selection import select_titles
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_at_once, publish_titles, unpublished
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.releases.candidates import resolve
from mediafm_core.pipeline.releases.release import release, rollback
from mediafm_core.pipeline.serving import (
    release_history,
)
from mediafm_core.store.features import catalogue as published


def test_a_rollback_is_seen_at_once_and_leaves_nothing_to_compute(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    old = platform.serving_model
    new = release(platform, train_model(platform).candidate).release.model
    assert publish_at_once(platform) is None, "the new model's features are not there yet"
    ingest_titles(platform, ["cat", "coffee"])
    assert published(platform.store).model == new
    rollback(platform)
    publication = publish_at_once(platform)
    assert publication is not None
    assert publication.outcome == "published"
    assert published(platform.store).model == old
    assert select_titles(platform).work == []


def test_a_rollback_is_instant_and_counts_the_titles_that_follow(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    old = platform.serving_model
    before = clips_of(platform, "coffee")
    release(platform, train_model(platform).candidate)
    ingest_titles(platform, ["cat", "coffee"])
    clips = catalogue.inbox / "coffee" / "clips.csv"
    clips.write_text("clip_id,start_s,end_s\na,0,3\n")
    ingest_titles(platform, ["coffee"])
    assert clips_of(platform, "coffee") == ["a"]
    rollback(platform)
    publication = publish_at_once(platform)
    assert publication is not None
    assert str(publication).endswith("2 in all; 1 follow with the next run")
    assert published(platform.store).model == old
    assert clips_of(platform, "coffee") == before
    assert select_titles(platform).work == ["coffee"]
    ingest_titles(platform, ["coffee"])
    assert clips_of(platform, "coffee") == ["a"]


def test_a_run_that_ends_after_a_rollback_does_not_undo_it(catalogue):
    training = {"steps": 5, "validate_every": 5}
    running, other = catalogue.platform(training=training), catalogue.platform(training=training)
    old = running.serving_model
    new = release(running, train_model(running).candidate).release.model
    with running.one_model():  # as every run over titles
        ingest_titles(running, ["cat", "coffee"])
        assert published(running.store).model == new
        rollback(other)
        publish_at_once(other)
        assert publish_titles(running, ["cat"]).outcome == "held back"
    assert published(running.store).model == old


def clips_of(platform: Platform, title_id: str) -> list[str]:
    query = "SELECT clip_id FROM clips WHERE title_id = ? ORDER BY start_s"
    found = mediafm_core.sql(query, [title_id], store=platform.settings.store)
    return found["clip_id"].to_pylist()


def test_a_title_that_is_stale_under_the_new_model_holds_the_cut_over(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    old = platform.serving_model
    new = release(platform, train_model(platform).candidate).release.model
    materialise_all(platform, "cat")
    assert unpublished(platform, ["cat", "coffee"]) == ["cat"]
    held = publish_titles(platform, ["cat"])
    assert (held.outcome, held.waiting) == ("held back", ("coffee",))
    assert unpublished(platform, ["cat", "coffee"]) == []

    (catalogue.inbox / "cat" / "clips.csv").write_text("clip_id,start_s,end_s\na,0,3\n")
    materialise_all(platform, "coffee")
    held = publish_titles(platform, ["coffee"])
    assert (held.outcome, held.waiting) == ("held back", ("cat",))
    assert published(platform.store).model == old

    materialise_all(platform, "cat")  # and its run is killed before it can publish
    assert unpublished(platform, ["cat", "coffee"]) == ["cat"]
    assert publish_titles(platform, ["coffee"]).outcome == "published"
    assert published(platform.store).model == new
    assert clips_of(platform, "cat") == ["a"]


@pytest.mark.parametrize("policy", ["drop", "hold"])
def test_a_title_that_fails_in_a_refresh_is_given_up_or_waited_for(catalogue, policy):
    platform = catalogue.platform(
        training={"steps": 5, "validate_every": 5}, publishing={"failed_titles": policy}
    )
    old = platform.serving_model
    new = release(platform, train_model(platform).candidate).release.model
    fingerprint = platform.inbox.folder("cat").fingerprint()
    Quarantine(platform.store).add("cat", "contextual_embeddings", "It failed.", fingerprint)
    materialise_all(platform, "coffee")
    publication = publish_titles(platform, ["coffee"])
    seen = published(platform.store)
    if policy == "hold":
        assert publication.waiting == ("cat",)
        assert (seen.model, set(seen.versions)) == (old, {"cat", "coffee"})
    else:
        assert (publication.outcome, publication.removed) == ("published", 1)
        assert (seen.model, set(seen.versions)) == (new, {"coffee"})
        assert publish_titles(platform, ["coffee"]).outcome == "unchanged"
    assert unpublished(platform, ["cat", "coffee"]) == []


def materialise_all(platform: Platform, title_id: str) -> None:
    """Bring a title up to date and publish nothing."""
    for asset in SPECS:
        for outcome in materialise(platform, (asset,), title_id):
            assert outcome.status != "quarantined", outcome.reason


def test_repeating_a_release_that_was_killed_before_the_cutover(
    catalogue, monkeypatch: pytest.MonkeyPatch
):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    old = platform.serving_model
    new = release(platform, train_model(platform).candidate).release.model
    ingest_titles(platform, ["cat", "coffee"])
    release(platform, resolve(platform.store, old))  # without a cutover of readers
    assert published(platform.store).model == new

    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    paths = {"MEDIAFM_STORE": str(catalogue.store), "MEDIAFM_INBOX": str(catalogue.inbox)}
    for name, value in {**SMALL_MODEL, **paths}.items():
        monkeypatch.setenv(name, value)
    for outcome in ("published", "unchanged"):
        result = CliRunner().invoke(main, ["release", old])
        assert result.exit_code == 0, result.output
        assert f"{old} is the serving model already" in result.stdout
        assert f"Readers see it now ({outcome}" in result.stdout
        assert published(platform.store).model == old
    history = release_history(platform.store)
    assert [each.model for each in history] == [old, new, old]


def test_an_inbox_that_is_away_takes_nothing_from_readers(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    before = published(platform.store)
    release(platform, train_model(platform).candidate)
    for folder in catalogue.inbox.iterdir():
        shutil.rmtree(folder)
    assert publish_at_once(platform) is None
    assert published(platform.store) == before


def test_vectors_are_recorded_under_the_model_that_computed_them(catalogue, monkeypatch):
    platform = catalogue.platform(training={"steps": 3, "validate_every": 3})
    old, new = platform.serving_model, train_model(platform).identity
    assert old != new
    platform.store.remove("contextual_embeddings", "cat", old)
    contextualise = mediafm_core.inference.whole_title.contextualise

    def with_a_release(*args: object, **options: object) -> object:
        release(platform, resolve(platform.store, new))
        return contextualise(*args, **options)

    monkeypatch.setattr(mediafm_core.inference.whole_title, "contextualise", with_a_release)
    [outcome] = materialise(platform, ("contextual_embeddings",), "cat")
    monkeypatch.undo()

    assert (outcome.status, outcome.record.identity) == ("computed", old)
    assert platform.store.record("contextual_embeddings", "cat", old) == outcome.record
    assert platform.store.record("contextual_embeddings", "cat", new) is None
    assert platform.serving_model == new
    # Seen from the release, the title waits for the new model's vectors.
    folder = platform.inbox.folder("cat")
    assert title_state(platform, folder).assets["contextual_embeddings"] == "stale"
    [again] = materialise(platform, ("contextual_embeddings",), "cat")
    assert (again.status, again.record.identity) == ("computed", new)
