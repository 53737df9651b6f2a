"""States, coverage and progress of a catalogue from its index equal those from files of titles."""

import logging
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from copied_catalogue import copy_catalogue
from films import settings_for, write_manifest

from benchmarks.large_catalogue import enlarge, title_name
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS
from mediafm_core.pipeline.planning import coverage as covering
from mediafm_core.pipeline.planning.asset_states import (
    CatalogueComparison,
    catalogue_states,
    title_state,
)
from mediafm_core.pipeline.planning.coverage import Coverage, coverage, refresh_progress
from mediafm_core.pipeline.planning.title_selection import select_titles
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.serving import add_release, deciding, release_history

TITLES = 6


@pytest.fixture(scope="session")
def _large(_ingested, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("large")
    source = settings_for(*_ingested)
    enlarge(source, settings_for(root / "inbox", root / "store"), TITLES)
    return root


@pytest.fixture
def root(_large: Path, tmp_path: Path) -> Path:
    """Make an inbox and a store of six titles, to change."""
    root = tmp_path / "large"
    copy_catalogue(_large / "inbox", _large / "store", root / "inbox", root / "store")
    return root


def platform_of(root: Path, **overrides: object) -> Platform:
    return Platform(settings_for(root / "inbox", root / "store", **overrides))


def release_another_model(platform: Platform) -> str:
    """Make a model of another name the serving one; only its name is compared."""
    model = "mediafm-7@0123456789abcdef"
    with deciding(platform.store):
        add_release(platform.store, release_history(platform.store), model, "somebody", "a test")
    return model


def test_made_titles_are_present_by_their_own_files(root):
    platform = platform_of(root)
    assert [title_state(platform, folder).state for folder in platform.inbox.scan()] == [
        "present"
    ] * TITLES
    assert select_titles(platform).work == []


def change_something(root: Path, choice: random.Random) -> None:
    """Change a catalogue at random."""
    title_id = title_name(choice.randrange(TITLES))
    files = sorted(
        path
        for path in (root / "store").rglob(f"*{title_id}.*")
        if not {".versions", ".staging", "quarantine"} & set(path.parts)
    )
    match choice.randrange(8):
        case 0 if files:
            choice.choice(files).unlink()
        case 1 if files:
            path = choice.choice(files)
            path.write_bytes(path.read_bytes()[: choice.randrange(300)])
        case 2 if files:  # another title's artefact in its place
            path = choice.choice(files)
            other = path.with_name(f"{title_name(choice.randrange(TITLES))}{path.suffix}")
            if other.exists() and other != path:
                shutil.copyfile(other, path.with_suffix(".new"))
                path.with_suffix(".new").replace(path)
        case 3:
            folder = root / "inbox" / title_id
            if folder.exists():
                write_manifest(folder, synopsis=str(choice.random()))
        case 4:
            (root / "inbox" / title_id / "title.json").unlink(missing_ok=True)
        case 5 if choice.random() < 0.3:
            shutil.rmtree(root / "inbox" / title_id, ignore_errors=True)
        case 6:
            platform = platform_of(root)
            asset = choice.choice(list(SPECS))
            fingerprint = platform.inbox.folder(title_id).fingerprint()
            Quarantine(platform.store).add(title_id, asset, "A reason.", fingerprint)
        case 7:
            Quarantine(platform_of(root).store).lift(title_id)


@pytest.mark.parametrize("seed", range(5))
def test_states_are_those_of_each_title_after_any_change(root, seed, caplog):
    caplog.set_level(logging.CRITICAL)
    choice = random.Random(seed)
    lasting = platform_of(root)
    settings = [{}, {"keyframes": {"jpeg_quality": 50}}, {"clips": {"proposed_s": 3.0}}]
    seen = set()
    for step in range(12):
        for _ in range(choice.randrange(1, 4)):
            change_something(root, choice)
        if step == 8:
            release_another_model(lasting)
        for platform in (lasting, platform_of(root, **choice.choice(settings))):
            expected = [title_state(platform, folder) for folder in platform.inbox.scan()]
            found = list(catalogue_states(platform))
            assert [state for state in found if state.state != "orphaned"] == expected
            assert [state.title_id for state in found] == sorted(each.title_id for each in found)
            seen |= {state.state for state in found}
    assert len(seen) >= 4, "the changes lead to different states"


def test_a_title_without_a_folder_is_orphaned(root):
    shutil.rmtree(root / "inbox" / title_name(2))
    platform = platform_of(root)
    found = {state.title_id: state for state in catalogue_states(platform)}
    orphan = found[title_name(2)]
    assert (orphan.state, set(orphan.assets.values())) == ("orphaned", {"orphaned"})
    assert f"`mediafm retire {title_name(2)}`" in orphan.reason
    assert len(found) == TITLES
    assert select_titles(platform).work == []


def test_coverage_marks_the_wanted_versions(root):
    platform = platform_of(root, keyframes={"jpeg_quality": 50})
    old = platform.serving_model
    rows = coverage(CatalogueComparison(platform))
    shots = [row for row in rows if row.asset == "shots"]
    assert [(row.titles, row.is_wanted) for row in shots] == [(TITLES, True)]
    wanted, other = (row for row in rows if row.asset == "keyframes")
    assert (wanted.titles, wanted.is_wanted) == (0, True)
    assert (other.titles, other.is_wanted) == (TITLES, False)
    assert wanted.identity != other.identity

    new = release_another_model(platform)
    (root / "store" / "contextual_embeddings" / new).mkdir()
    rows = coverage(CatalogueComparison(platform))
    assert [row for row in rows if row.asset == "contextual_embeddings"] == [
        Coverage(
            "contextual_embeddings", new, new, SPECS["contextual_embeddings"].code_version, 0, True
        ),
        Coverage("contextual_embeddings", old, "", "", TITLES, False),
    ]


def test_progress_of_a_refresh(root):
    platform = platform_of(root)

    def progress(now: float):
        comparison = CatalogueComparison(platform)
        return refresh_progress(comparison, list(comparison.states()), now)

    assert progress(time.time()) is None, "nothing is under way"
    quarantine = Quarantine(platform.store)
    quarantined = platform.inbox.folder(title_name(5))
    quarantine.add(quarantined.name, "title", "A reason.", quarantined.fingerprint())
    for title_id in (title_name(0), title_name(1)):
        for asset in FROM_MODEL:
            platform.store.remove(asset, title_id, platform.serving_model)
    written = platform.store.path("clip_features", title_name(2), platform.serving_model)
    start = max(path.stat().st_mtime for path in written.parent.iterdir())
    found = progress(start + 10_000)
    assert (found.titles_done, found.titles, found.quarantined) == (3, 5, 1)
    assert (found.titles_per_s, found.seconds_left) == (None, None)
    assert "none finished recently" in str(found)

    for second, number in enumerate((2, 3, 4)):
        path = written.with_name(f"{title_name(number)}.parquet")
        content = path.read_bytes()
        path.write_bytes(content)
        moment = start + 20_000 + second
        os.utime(path, (moment, moment))
    found = progress(start + 20_006)
    assert found.titles_per_s == pytest.approx(3 / 6)
    assert found.seconds_left == pytest.approx(4.0)
    assert str(found) == "3 of 5 titles up to date, 1 quarantined, 0.5 titles/s, 4 s left"


def test_assets_of_the_earlier_model_are_stale_after_a_release(root):
    platform = platform_of(root)
    old = platform.serving_model
    never = title_name(1)
    for asset in FROM_MODEL:
        platform.store.remove(asset, never, old)
    release_another_model(platform)
    together = {each.title_id: each for each in CatalogueComparison(platform).states()}
    for folder in platform.inbox.scan():
        state = together[folder.name]
        assert state == title_state(platform, folder)
        expected = "missing" if folder.name == never else "stale"
        assert {state.state, *(state.assets[asset] for asset in FROM_MODEL)} == {expected}
        assert {state.assets[asset] for asset in SPECS if asset not in FROM_MODEL} == {"present"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations(seconds, text):
    assert covering.duration(seconds) == text
