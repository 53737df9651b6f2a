"""Latency of a catalogue under a daemon: an arrival, a release over all titles.

    python -m benchmarks.living_catalogue arrival TITLE_FOLDER INBOX STORE
    python -m benchmarks.living_catalogue release VERSION INBOX STORE [--kill | --while-down]
    python -m benchmarks.living_catalogue direct VERSION INBOX STORE
    python -m benchmarks.living_catalogue encoder NAME=VALUE[,NAME=VALUE] INBOX STORE

`arrival` copies a title folder into the inbox of a catalogue on which `mediafm ui` runs, and waits
until SQL answers with its clips. `release` releases a trained model while a
reader queries every 100 ms, and waits until the reader sees it; it prints the runs from Dagster's
event log. With `--kill` the daemon and all its runs are killed in the middle and started again;
with `--while-down` the release is made while none is running. `direct` does a release's work in one
Python process without Dagster, for comparison. `encoder` starts the daemon with other settings of
an encoder (`MEDIAFM_AUDIO__NAME=wav2vec2,MEDIAFM_AUDIO__MODEL=FOLDER`), waits until every title has
its vectors, trains and releases a model on them, and waits for the readers. Each changes the
catalogue: give it a copy.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.living import Daemon, reading, recorded_since, running, served, wait_for
from benchmarks.options import parse, write_json
from benchmarks.processes import mediafm
from benchmarks.small_inputs import SmallInputs

_DIRECT = """
import json, sys, time
started, cpu = time.perf_counter(), time.process_time()
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.graph import FROM_MODEL
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import resolve
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.pipeline.releases.release import release
platform = Platform(load_settings(inbox=sys.argv[2], store=sys.argv[3]))
release(platform, resolve(platform.store, sys.argv[1]))
titles = [folder.name for folder in platform.inbox.scan()]
for title in titles:
    for asset in FROM_MODEL:
        materialise(platform, (asset,), title)
published = publish_titles(platform, titles)
seconds = time.perf_counter() - started
print(json.dumps({"titles": len(titles), "readers": str(published), "seconds": round(seconds, 2),
    "cpu_seconds": round(time.process_time() - cpu, 2),
    "seconds_per_title": round(seconds / len(titles), 4)}))
"""


def main() -> None:
    """Run one of the measurements and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measurement", choices=("arrival", "release", "direct", "encoder"))
    parser.add_argument("subject", help="title folder, model version or settings of an encoder")
    parser.add_argument("inbox", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--kill", action="store_true", help="with release")
    parser.add_argument("--while-down", action="store_true", help="with release")
    arguments = parse(parser, small)
    subject, inbox, store = arguments.subject, arguments.inbox, arguments.store
    match arguments.measurement:
        case "encoder":
            figures = encoder(subject, inbox, store)
        case "arrival":
            figures = arrival(Path(subject), inbox, store)
        case "release":
            figures = release(
                subject, inbox, store, kill=arguments.kill, while_down=arguments.while_down
            )
        case _:
            figures = direct(subject, inbox, store)
    print(json.dumps(figures, indent=2))
    write_json(arguments.json, figures)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting: a release over one title, without a daemon."""
    place = inputs.new("living_catalogue")
    shutil.copytree(inputs.store, place / "store")
    return ["direct", inputs.model.name, str(inputs.inbox), str(place / "store")]


def arrival(folder: Path, inbox: Path, store: Path) -> dict[str, Any]:
    """Copy a title folder into the inbox and wait for its clips."""
    with running(Daemon(inbox, store)):
        since = time.time()
        place = inbox / folder.name
        place.mkdir()
        files = sorted(folder.iterdir(), key=lambda path: path.name == "title.json")
        for path in files:  # title.json last
            shutil.copy(path, place)
        copied = time.time() - since
        seconds = wait_for(lambda: (served(store) or ("", set()))[1] >= {folder.name})
        # A finished run's events are written a moment after its features.
        wait_for(lambda: all(run[1] == "SUCCESS" for run in recorded_since(store, since).runs))
        return {
            "title": folder.name,
            "seconds_to_copy": round(copied, 1),
            "seconds_until_clips_answer": round(seconds, 1),
            **asdict(recorded_since(store, since)),
        }


def release(
    version: str, inbox: Path, store: Path, *, kill: bool = False, while_down: bool = False
) -> dict[str, Any]:
    """Release a model and wait until readers see it for every title."""
    before = served(store)
    if before is None:
        raise SystemExit(f"Nothing is published in {store}.")
    command = mediafm("release", version, inbox=inbox, store=store)
    daemon = Daemon(inbox, store)
    try:
        if not while_down:
            daemon.start()
        with reading(store) as seen:
            wait_for(lambda: seen().answers)
            since = time.time()
            subprocess.run(command, check=True, stdout=sys.stderr)
            released = time.time()
            if while_down:
                daemon.start()
            if kill:
                wait_for(lambda: sum(recorded_since(store, since).materialised.values()) > 20)
                daemon.kill()
                daemon.start()
            wait_for(lambda: (served(store) or before)[0] != before[0])
            seconds = time.time() - released
            wait_for(
                lambda: all(
                    status not in ("STARTED", "QUEUED", "STARTING", "NOT_STARTED")
                    for _, status, _ in recorded_since(store, since).runs
                )
            )
            after = served(store)
            readings = seen()
    finally:
        daemon.kill()
    recorded = recorded_since(store, since)
    titles = len(after[1]) if after else 0
    executing = sum(run[2] for run in recorded.runs)
    return {
        "titles": titles,
        "seconds_until_readers_see_it": round(seconds, 1),
        "seconds_in_runs": round(executing, 1),
        "seconds_in_runs_per_title": round(executing / max(1, titles), 4),
        **asdict(recorded),
        "reader": asdict(readings),
    }


def encoder(settings: str, inbox: Path, store: Path) -> dict[str, Any]:
    """Change an encoder, train and release a model on its vectors, and wait for the readers."""
    changed = dict(pair.split("=", 1) for pair in settings.split(","))
    before = served(store)
    if before is None:
        raise SystemExit(f"Nothing is published in {store}.")
    since = time.time()
    command = mediafm("train", "--release", inbox=inbox, store=store)
    daemon = Daemon(inbox, store, changed)
    with running(daemon), reading(store) as seen:
        wait_for(lambda: "titles wait: " in daemon.log.read_text())
        embedded = recorded_since(store, since)
        environment = {**os.environ, **changed}
        subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
        wait_for(lambda: (served(store) or before)[0] != before[0])
        wait_for(lambda: all(run[1] == "SUCCESS" for run in recorded_since(store, since).runs))
        readings = seen()
    return {
        "before_the_model": asdict(embedded),
        "in_all": asdict(recorded_since(store, since)),
        "seconds": round(time.time() - since, 1),
        "reader": asdict(readings),
    }


def direct(version: str, inbox: Path, store: Path) -> dict[str, Any]:
    """Do the work of a release in one process, without Dagster."""
    command = [sys.executable, "-c", _DIRECT, version, str(inbox), str(store)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
