"""The fuzz run itself: the same seed draws the same inputs, and every failure is noticed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzzing import mutations, structures
from benchmarks.fuzzing.pool import Limits, Worker
from benchmarks.fuzzing.watch import Watch

REPOSITORY = Path(__file__).parents[2]
OTHERS = [b"other " * 50]
DATA = bytes(range(256)) * 8


# In one order in every process: pytest-xdist compares what its workers collect.
@pytest.mark.parametrize(
    "mutation", dict.fromkeys((*mutations.BYTES, *mutations.TEXT, *mutations.JSON))
)
def test_a_seed_repeats_a_mutation(mutation: mutations.Mutation) -> None:
    data = b'{"a": [1, {"b": "c"}], "d": 2.5}' if mutation is mutations.mutate_json else DATA
    drawn = [mutation(Random(f"1/{n}"), data, OTHERS) for n in range(50)]
    assert drawn == [mutation(Random(f"1/{n}"), data, OTHERS) for n in range(50)]
    assert any(each != data for each in drawn)


@pytest.mark.parametrize("mutation", dict.fromkeys(structures.OF_SUFFIX.values()))
def test_mutations_of_structure_take_anything(mutation: mutations.Mutation) -> None:
    for number in range(50):
        rng = Random(number)
        mutation(rng, rng.randbytes(rng.randrange(1, 2000)), OTHERS)


def test_the_watch_sees_what_other_processes_and_libraries_open(tmp_path: Path) -> None:
    canary = tmp_path / "canary.mp4"
    canary.write_bytes(b"secret")
    watch = Watch(tmp_path)
    try:
        assert watch.opened() == []
        subprocess.run(["cat", str(canary)], check=True, capture_output=True)
        assert watch.opened() == ["canary.mp4"]
        os.stat(canary)  # noqa: PTH116 - looked at, not opened
        assert watch.opened() == []
        link = tmp_path.parent / "link.mp4"
        link.symlink_to(canary)
        native = "import av, sys\ntry: av.open(sys.argv[1])\nexcept av.FFmpegError: pass"
        subprocess.run([sys.executable, "-c", native, str(link)], check=True)
        assert watch.opened() == ["canary.mp4"]
    finally:
        watch.close()


# A worker with a kind for each failure of an input.
_WORKER = """
import os, sys, time
from benchmarks.fuzzing import kinds, worker
from benchmarks.fuzzing.inputs import Input, Kind, RefusedError

def opens(root, made):
    os.close(os.open(root / "outside" / "canary.srt", os.O_RDONLY))

def refuses(text):
    def run(root, made):
        if made.mutation == "changed":
            raise RefusedError(text)
    return run

def only_changed(action):
    return lambda root, made: action() if made.mutation == "changed" else None

def starts():
    import subprocess
    subprocess.run(["true"])

def spins():
    while True:
        pass

def grows():
    kept = bytearray(700 << 20)
    kept[::4096] = b"x" * len(kept[::4096])

def make(rng, corpus, root):
    return Input("input.txt", b"", "none" if type(rng).__name__ == "Sound" else "changed")

actions = {
    "crash": only_changed(lambda: os.kill(os.getpid(), 11)),
    "hang": only_changed(spins),
    "memory": only_changed(grows),
    "traceback": only_changed(lambda: 1 / 0),
    "long": refuses("name " * 100),
    "unnamed": refuses("No."),
    "foreign": opens,
    "started": only_changed(starts),
    "refused": refuses("name is bad."),
    "served": only_changed(lambda: None),
    "unsound": lambda root, made: 1 / 0,
}
worker.kinds = lambda: {k: Kind(k, make, run, ("name",)) for k, run in actions.items()}
worker.prepare = lambda root, corpus: None
worker.main()
"""


class _Corpus:
    folder = Path("nowhere")

    def media(self, _suffix: str) -> bytes:
        return b"film"


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(
        "benchmarks.fuzzing.pool.COMMAND", (sys.executable, "-X", "faulthandler", "-c", _WORKER)
    )
    limits = Limits(cpu_s=2.0, wall_s=300.0, memory_mib=500.0)
    made = Worker(_Corpus(), tmp_path / "worker", limits)  # type: ignore[arg-type]
    yield made
    made.close()


def test_every_failure_is_noticed_and_the_run_goes_on(worker: Worker) -> None:
    came = {}
    for kind in (
        *("served", "crash", "refused", "hang", "memory", "traceback", "long", "unnamed"),
        *("foreign", "started", "unsound", "served"),
    ):
        came[kind] = worker.run(kind, 3, 1)["came"]
    assert came == {kind: kind for kind in came} | {"started": "foreign"}
