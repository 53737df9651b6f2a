"""A catalogue in operation: `mediafm ui` as a process, a reader, and events from Dagster's log."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil

from benchmarks.processes import mediafm

POLL_S, LONGEST_POLL_S = 0.1, 1.0
PATIENCE_S = 900.0
_PAUSE = 9  # times the seconds of a poll
_READER = """
import json, sys, time, duckdb
path, pause = sys.argv[1], float(sys.argv[2])
while True:
    started = time.time()
    said = {"at": started}
    try:
        with duckdb.connect(path, read_only=True) as connection:
            # One query, one moment: what would a mixture look like?
            said["seen"] = connection.execute(
                "SELECT c.model_version, f.model_version, count(DISTINCT f.title_id), count(*) "
                "FROM clip_features AS f, catalogue AS c GROUP BY ALL"
            ).fetchall()
    except Exception as error:
        said["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(said), flush=True)
    time.sleep(max(0.0, pause - (time.time() - started)))
"""


@dataclass(frozen=True)
class Readings:
    """Answers that a reader got.

    Attributes:
    answers: number of answers.
        mixed: answers with more than one model version, or another than the catalogue's.
    errors: refused or failed queries, by their messages.
        versions: model version and number of titles in the order in which they appeared, and when.
    """

    answers: int
    mixed: int
    errors: dict[str, int]
    versions: list[tuple[float, str, int]]


class Daemon:
    """A running `mediafm ui`: Dagster's UI, daemon and code server on a catalogue.

    Args:
        inbox, store: the catalogue.
        environment: variables beside those of this process.
    """

    def __init__(
        self, inbox: Path, store: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.inbox, self.store = inbox, store
        self.log = store / "dagster.log"
        self._environment = {
            name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"
        } | dict(environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Daemon":
        """Start, and wait until the code is loaded."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = mediafm("ui", "--port", str(self.port), inbox=self.inbox, store=self.store)
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                command,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(
            lambda: self.process is not None and (self.process.poll() is not None or self._loaded())
        )
        if self.process.poll() is not None:
            raise RuntimeError(f"mediafm ui ended: {self.log.read_text()[-2000:]}")
        return self

    def kill(self) -> None:
        """Kill with SIGKILL every process that was started, runs included."""
        if self.process is None:
            return
        family = _family(self.process)
        for member in family:
            with _gone():
                member.send_signal(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(family, timeout=PATIENCE_S)
        self.process = None

    def _loaded(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return bool(json.load(response)["data"]["assetNodes"])
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Start a daemon, and end it even after an error."""
    try:
        yield daemon.start()
    finally:
        daemon.kill()


@contextmanager
def reading(store: Path, pause_s: float = 0.1) -> Iterator[Callable[[], Readings]]:
    """Query continuously in another process; calling the result gives the reader's answers."""
    log = store / "reader.jsonl"
    with log.open("w") as output:
        command = [sys.executable, "-c", _READER, str(store / "features.duckdb"), str(pause_s)]
        process = subprocess.Popen(command, stdout=output)
    try:
        yield lambda: _readings(log)
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> float:
    """Poll until a condition holds, and return the seconds that it took.

    A poll that takes long, as one that opens a database does, is followed by a longer pause: it
    takes the processor from the work that it waits for.
    """
    started = asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now - started > patience_s:
            raise TimeoutError(f"waited {patience_s:.0f} s in vain")
        time.sleep(min(LONGEST_POLL_S, max(POLL_S, _PAUSE * (now - asked))))
        asked = time.monotonic()
    return time.monotonic() - started


def served(store: Path) -> tuple[str, set[str]] | None:
    """Return model version and titles that readers see; None before the first publication."""
    path = store / "features.duckdb"
    if not path.exists():
        return None
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT model_version, title_id FROM clip_features").fetchall()
    return (rows[0][0], {title_id for _, title_id in rows}) if rows else None


@dataclass(frozen=True)
class Recorded:
    """Events that Dagster recorded in a span of time.

    Attributes:
        materialised: materialisations by asset.
        repeated: partitions of an asset that were materialised more than once.
        runs: job, status and seconds of each run.
    """

    materialised: dict[str, int]
    repeated: int
    runs: list[tuple[str, str, float]]


def recorded_since(store: Path, since: float) -> Recorded:
    """Return runs created since a time, and the materialisations of titles' assets in them."""
    import dagster as dg

    from mediafm_assets.resources.instance import open_instance
    from mediafm_core.store.store import Store

    counts: Counter[tuple[str, str]] = Counter()
    runs = []
    with open_instance(Store(store)) as instance:
        records = [
            record
            for record in instance.get_run_records()
            if record.create_timestamp.timestamp() >= since
        ]
        for record in reversed(records):
            run = record.dagster_run
            seconds = (record.end_time or time.time()) - (record.start_time or time.time())
            runs.append((run.job_name, run.status.value, round(seconds, 1)))
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            for entry in instance.all_logs(run.run_id, of_type=kind):
                if entry.dagster_event is None:
                    continue
                made = entry.dagster_event.step_materialization_data.materialization
                if made.partition is not None:
                    counts[made.asset_key.to_user_string(), made.partition] += 1
    return Recorded(
        materialised=dict(Counter(asset for asset, _ in counts.elements())),
        repeated=sum(count > 1 for count in counts.values()),
        runs=runs,
    )


def _readings(log: Path) -> Readings:
    mixed, answers = 0, 0
    errors: Counter[str] = Counter()
    versions: list[tuple[float, str, int]] = []
    for line in log.read_text().splitlines():
        said = json.loads(line)
        if "error" in said:
            errors[said["error"][:120]] += 1
            continue
        answers += 1
        seen = said["seen"]
        if len(seen) != 1 or seen[0][0] != seen[0][1]:
            mixed += 1
            continue
        model, _, titles, _ = seen[0]
        if not versions or versions[-1][1:] != (model, titles):
            versions.append((said["at"], model, titles))
    return Readings(answers, mixed, dict(errors), versions)


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
