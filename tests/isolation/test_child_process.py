"""Children that their input has taken over: each fails only its own title, with the reason."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from media_probes import described
from simple_detectors import CutEvery

from mediafm_core.config.media_settings import KeyframeSettings, LimitSettings
from mediafm_core.errors import MachineError, MediaFMError, TitleError
from mediafm_core.isolation import fork_server_handle
from mediafm_core.isolation.child_process import ChildProcess, next_events
from mediafm_core.isolation.fork_server_handle import fork_server_of
from mediafm_core.isolation.limits import Limits
from mediafm_core.isolation.readers import TitleReader
from mediafm_core.isolation.wire_errors import RemoteError
from mediafm_core.runtime.error_causes import Cause, fault_of
from mediafm_core.titles.title_file import TitleFile

TASKS = "hostile_tasks"
LIMITS = Limits(
    cpu_s=1,
    memory_bytes=256 << 20,
    written_bytes=8 << 20,
    no_progress_s=60,
    wall_s=600,
    frames=100,
)
IMPATIENT = LIMITS._replace(no_progress_s=1)


@pytest.fixture
def film(tmp_path: Path) -> TitleFile:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film" * 100)
    return TitleFile.at(path)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Limits], None]:
    """Replace the default limits, which are wide."""
    place = "mediafm_core.isolation.readers.limits_for"
    return lambda limits: monkeypatch.setattr(place, lambda *_: limits)


def run(task: str, film: TitleFile, arguments: dict | None = None, **options) -> object:
    with TitleReader(LimitSettings(), tasks=TASKS) as reader:
        return json.loads(reader.run(task, "decoding", [film], arguments or {}, **options))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("crash", r"decoding crashed \(SIGSEGV\): the file is damaged"),
        ("abort", r"decoding crashed \(SIGABRT\)"),
        ("leave", r"decoding crashed \(exit code 0\)"),
        ("hang", r"made no progress for 1 s: .*raise limits\.no_progress_s \(now 1\)"),
        ("stop", "made no progress for 1 s"),
        ("hang_up", r"was killed from outside \(SIGKILL\)"),
        ("burn", r"needed more than 1 s of CPU time: .*limits\.cpu_factor"),
        ("bloat", r"needed more than 0\.2 GiB of memory: .*limits\.memory_mb"),
        ("write_much", "wrote more than 8 MiB"),
        ("open_much", "opened too many files"),
        ("garbage", "returned an invalid result"),
        ("huge", "returned an invalid result"),
    ],
)
def test_a_failing_child_fails_its_title_with_the_reason(
    film: TitleFile, tmp_path: Path, limit, task: str, said: str
) -> None:
    limit(IMPATIENT if task in ("hang", "stop") else LIMITS)
    with (tmp_path / "sound").open("w+b") as sound, pytest.raises(TitleError, match=said) as raised:
        run(task, film, writable=[sound.fileno()])
    assert str(raised.value).startswith(f"{film}: decoding ")
    assert len(str(raised.value)) <= 300 + len(str(film))
    assert fault_of(raised.value).cause is Cause.TITLE
    assert psutil.Process(fork_server_of(TASKS).process).children() == []
    assert run("honest", film) == "done", "the next task must not be affected"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not offer it")
def test_a_child_has_no_rights(film: TitleFile, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    arguments = {"secret": str(secret), "folder": str(tmp_path), "parent": os.getpid()}
    with TitleReader(LimitSettings(), tasks=TASKS) as reader:
        reader.run("honest", "decoding", [film], {})
        missing = reader.missing
        outcomes = json.loads(reader.run("rights", "decoding", [film], arguments))
    allowed = [name for name, outcome in outcomes.items() if outcome == "allowed"]
    if not missing:
        assert allowed == []
    assert secret.read_text() == "secret"


def test_a_child_has_no_secrets_and_no_other_files(
    film: TitleFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("MEDIAFM_S3__SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(fork_server_handle, "_servers", {})
    try:
        found = run("environment", film)
    finally:
        fork_server_of(TASKS).close()
    assert not [name for name in found["names"] if "KEY" in name or name.startswith("MEDIAFM")]
    assert len(found["descriptors"]) == 5  # standard streams, its connection, the file


def test_reading_is_progress(film: TitleFile, limit) -> None:
    limit(LIMITS._replace(no_progress_s=1.5))
    assert run("read_slowly", film) == "read"  # takes three seconds


def test_errors_of_a_child_are_restored(film: TitleFile) -> None:
    with pytest.raises(TitleError, match=r"^film\.mp4 is empty: copy it again\.$"):
        run("fail", film, {"error": "title"})
    with pytest.raises(MediaFMError, match=r"^The device is gone\.$") as claimed:
        run("fail", film, {"error": "machine"})
    assert fault_of(claimed.value).cause is Cause.UNKNOWN, "a child's report is not sufficient"
    with pytest.raises(TitleError) as raised:
        run("fail", film, {"error": "full disk"})
    fault = fault_of(raised.value)
    assert (fault.cause, fault.error.errno) == (Cause.MACHINE, errno.ENOSPC)
    with pytest.raises(RemoteError, match=r"^ZeroDivisionError: division by zero$") as raised:
        run("fail", film, {"error": "unknown"})
    assert fault_of(raised.value).cause is Cause.UNKNOWN


@pytest.mark.parametrize(
    "lie",
    [
        lambda reader, film: reader.manifest(film, "film"),
        lambda reader, film: reader.probe(film),
        lambda reader, film: reader.side_file(film),
        lambda reader, film: reader.clips(film, "film", 60.0),
        lambda reader, film: decode(reader, film, "unknown"),
        lambda reader, film: decode(reader, film, "flood"),
        lambda reader, film: decode(reader, film, "summary"),
        lambda reader, film: decode(reader, film, "keyframes"),
    ],
)
def test_invalid_results_are_refused(film: TitleFile, limit, lie) -> None:
    limit(LIMITS)
    with (
        TitleReader(LimitSettings(), tasks=TASKS) as reader,
        pytest.raises(TitleError, match="returned an invalid result"),
    ):
        lie(reader, film)


def test_a_child_that_reads_no_replies_does_not_block_its_parent(film: TitleFile, limit) -> None:
    limit(IMPATIENT)
    with (
        TitleReader(LimitSettings(), tasks=TASKS) as reader,
        pytest.raises(TitleError, match="made no progress for 1 s"),
    ):
        decode(reader, film, "deaf")


def decode(reader: TitleReader, film: TitleFile, lie: str) -> None:
    """Decode with a lying child; `lie` is passed in the probe."""
    sink: list[object] = []
    sound = film.path.with_name("sound.flac")
    reader.decode(
        film, "film", described(container=lie), CutEvery(10), KeyframeSettings(), sink.append, sound
    )


def test_many_children_at_once_and_one_that_hangs(film: TitleFile) -> None:
    """One process supervises any number of children independently."""
    tasks = ["honest", "hang", "honest", "crash", "honest"]
    at_work = {ChildProcess(IMPATIENT, str(film), "decoding", TASKS): task for task in tasks}
    for child, task in at_work.items():
        child.start_task(task, [film], b"{}")
    ended: list[tuple[str, str]] = []
    while len(ended) < len(tasks):
        for child, message, error in next_events(list(at_work), lambda: None):
            ended.append((at_work.pop(child), message.kind if message else type(error).__name__))
            child.close()
    assert sorted(ended) == [
        ("crash", "TitleError"),
        ("hang", "TitleError"),
        *[("honest", "result")] * 3,
    ]
    assert ended[-1][0] == "hang"


def test_children_of_many_threads(film: TitleFile) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(run("honest", film))) for _ in "12345"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["done"] * 5


def test_an_interrupt_ends_the_child(film: TitleFile) -> None:
    calls: list[None] = []

    def waiting() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        TitleReader(LimitSettings(), waiting=waiting, tasks=TASKS) as reader,
    ):
        reader.run("hang", "decoding", [film], {})
    assert psutil.Process(fork_server_of(TASKS).process).children() == []


def test_the_end_of_the_fork_server_is_a_machine_error(film: TitleFile) -> None:
    server = psutil.Process(fork_server_of(TASKS).process)

    def waiting() -> None:
        server.kill()

    with (
        pytest.raises(MachineError, match="was ended from outside: run again"),
        TitleReader(LimitSettings(), waiting=waiting, tasks=TASKS) as reader,
    ):
        reader.run("hang", "decoding", [film], {})
    assert run("honest", film) == "done"


_AT_WORK = """
import sys
from pathlib import Path
from mediafm_core.config.media_settings import LimitSettings
from mediafm_core.isolation.fork_server_handle import fork_server_of
from mediafm_core.isolation.readers import TitleReader
from mediafm_core.titles.title_file import TitleFile
film = TitleFile.at(Path(sys.argv[1]))
waits = []
def waiting():
    if not waits:
        print(fork_server_of("hostile_tasks").process, flush=True)
    waits.append(None)
with TitleReader(LimitSettings(), waiting=waiting, tasks="hostile_tasks") as reader:
    reader.run("hang", "decoding", [film], {})
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_children_end_with_the_working_process(film: TitleFile, number: signal.Signals) -> None:
    """The script has no main guard, so the fork server must not run it again."""
    with subprocess.Popen(
        [sys.executable, "-c", _AT_WORK, str(film)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        assert process.stdout is not None
        server = psutil.Process(int(process.stdout.readline()))
        family = [server, *server.children()]
        assert len(family) == 2
        process.send_signal(number)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
