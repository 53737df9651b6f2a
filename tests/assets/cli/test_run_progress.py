"""Display of a real `mediafm run` and `mediafm train` while they work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dagster_catalogue import GOOD, DagsterCatalogue
from films import SMALL_MODEL, write_manifest
from make_media import moving, write_media
from terminal import Seen, run_in_terminal

from mediafm_assets.cli.runner import CatalogueRunner
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.runtime import progress

MEDIAFM = [sys.executable, "-m", "mediafm_core"]
FILM, FILM_S, FRAMES_PER_S = "a_long_film", 25, 25
COLUMNS = 80
TITLES = 2
ASSETS = TITLES * len(SPECS)


def environment(inbox: Path, store: Path, **changes: str) -> dict[str, str]:
    left_out = {"DAGSTER_HOME", "COLUMNS", "LINES"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    paths = {"MEDIAFM_INBOX": str(inbox), "MEDIAFM_STORE": str(store)}
    return {**kept, **SMALL_MODEL, **paths, "TERM": "xterm-256color", **changes}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, dagster_catalogue: DagsterCatalogue) -> Seen:
    """Return a run over a short and a longer title without sound, in a terminal."""
    root = tmp_path_factory.mktemp("watched")
    shutil.copytree(dagster_catalogue.inbox / "cat", root / "inbox" / "cat")
    film = root / "inbox" / FILM
    film.mkdir()
    second = moving(FRAMES_PER_S)
    write_media(film / "media.mp4", second * FILM_S)
    write_manifest(film)
    return run_in_terminal([*MEDIAFM, "run"], environment(root / "inbox", root / "store"), COLUMNS)


def numbers(pattern: str, screens: list[str]) -> list[int]:
    """Return the distinct numbers that a pattern finds, in their order on the screens."""
    found = (int(match[1]) for screen in screens if (match := re.search(pattern, screen)))
    return list(dict.fromkeys(found))


def test_the_count_of_the_bar_moves_while_the_run_goes_on(watched: Seen):
    assert watched.exit_code == 0, watched.screens[-1]
    counts = numbers(rf"(\d+)/{ASSETS} ", watched.screens)
    assert counts[0] == 0
    assert counts[-1] == ASSETS
    assert counts == sorted(counts)
    # A loaded machine may show few of the counts, but not only those of whole steps of all titles.
    assert len(counts) >= 5
    assert any(count % TITLES for count in counts), "each title's assets are counted by themselves"


def test_the_decode_of_a_film_shows_percents_of_its_length(watched: Seen):
    seen = numbers(rf"shots (\d+)\.\d % of {FILM}", watched.screens)
    assert len(seen) >= 3
    assert seen == sorted(seen)
    shares = numbers(rf"shots [^\n]*\n[^\n]*/{ASSETS} +(\d+) %", watched.screens)
    assert len(shares) >= 3, "the whole grows with it"


def test_the_first_model_shows_its_own_steps(watched: Seen):
    training = [screen for screen in watched.screens if "training" in screen]
    assert any("reading the catalogue" in screen for screen in training)
    assert any("/4 " in screen for screen in training)


def test_the_bar_is_one_pair_of_lines_at_any_time(watched: Seen):
    for screen in watched.screens:
        assert len(re.findall(rf"\d+/{ASSETS} |\d+/4 ", screen)) <= 1, screen
    assert "done" in watched.screens[-1]
    assert f"{ASSETS}/{ASSETS}  100 %" in watched.screens[-1]
    assert "2 titles worked on" in watched.screens[-1]


def test_without_a_terminal_there_are_lines_and_one_at_the_end(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    copy = dagster_catalogue.copy(tmp_path)
    (copy.inbox / "coffee" / "clips.csv").write_text("clip_id,start_s,end_s,mood\na,0,5.5,calm\n")
    done = subprocess.run(
        [*MEDIAFM, "run"],
        env=environment(copy.inbox, copy.store),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if re.match(r"\d:\d\d:\d\d ", line)]
    assert lines
    assert re.fullmatch(rf"\S+ done: {len(SPECS)} of {len(SPECS)} assets, 100 %.*", lines[-1]), (
        lines
    )
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_training_bar_keeps_its_place_on_80_columns(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
):
    copy = dagster_catalogue.copy(tmp_path)
    settings = {"MEDIAFM_TRAINING__SEED": "7", "MEDIAFM_TRAINING__STEPS": "300"}
    seen = run_in_terminal(
        [*MEDIAFM, "train"], environment(copy.inbox, copy.store, **settings), COLUMNS
    )
    assert seen.exit_code == 0, seen.screens[-1]
    steps = numbers(r"(\d+)/300 ", seen.screens)
    assert len(steps) >= 2
    assert steps[-1] == 300
    for screen in seen.screens:
        assert len(re.findall(r"\d+/300 ", screen)) <= 1, screen
        assert screen.count("training for 300 steps") <= 1, screen
    assert "loss 0." in "".join(screen for screen in seen.screens if "shots/s" in screen)


def test_dagsters_log_has_shares_of_titles_counts_and_steps(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Every share is logged, however fast this machine decodes.
    monkeypatch.setattr(progress, "MOST_OFTEN_S", 0.0)
    inbox = tmp_path / "inbox"
    for title in GOOD:
        shutil.copytree(dagster_catalogue.inbox / title, inbox / title)
    catalogue = DagsterCatalogue(inbox, tmp_path / "store", [])
    with catalogue.instance() as instance:
        report = CatalogueRunner(catalogue.platform(), instance).run(GOOD)
        assert report.failures == {}
        messages = [
            entry.user_message
            for run_id in report.run_ids
            for entry in instance.all_logs(run_id)
            if entry.level == 20
        ]
    for asset in ("shots", "audio_embeddings", "video_embeddings", "contextual_embeddings"):
        pattern = rf"{asset} [1-9]\d*\.\d % of \w+: [01] of 2 titles, \d+ %"
        assert any(re.match(pattern, line) for line in messages), asset
    assert any(re.match(r"training, loss .*: 4 of 4 steps, 100 %", line) for line in messages)
    assert "training: reading the catalogue" in messages
    assert any(line.startswith("training: validating 0 %") for line in messages)
