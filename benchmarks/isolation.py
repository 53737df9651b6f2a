"""Cost of reading media in child processes, and the outcome when a child fails.

    python -m benchmarks.isolation FILM [--rounds 3] [--titles 300] [--seed 0] [--json FILE]

First the one decode of a film, with the shot detector of the settings, in a child and in this
process in turn: CPU seconds, seconds, and whether the shots are the same.

Then short made titles are ingested (`quick_catalogue`), and a fault is injected into a third of
them, drawn with the seed: while its file is probed or decoded or its captions are read, its child
is killed, stopped, or fills its memory. Exactly those titles must be quarantined, each with a
message that names the fault, and all others must be complete.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.options import parse, write_json
from benchmarks.quick_catalogue import QuickPlatform, ingest, make_titles, settings_for
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.media_settings import LimitSettings
from mediafm_core.config.settings import load_settings
from mediafm_core.isolation import tasks
from mediafm_core.isolation.readers import Handler, TitleReader
from mediafm_core.isolation.task_context import TaskContext
from mediafm_core.isolation.wire import Message
from mediafm_core.media.probe import MediaProbe, probe
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.shots.decode import decode_title
from mediafm_core.shots.transnetv2 import TransNetV2Detector
from mediafm_core.titles.title_file import TitleFile

# As the command `mediafm` sets it before it loads torch: threads that spin while they wait would
# take the processor from the child.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Soon reached, so that a stopped child costs seconds and not a minute.
_LIMITS = LimitSettings(no_progress_s=5.0, memory_mb=256)
_TASKS = ("probe", "decode", "side_file")
_FAULTS = {
    "killed": "was killed from outside (SIGKILL)",
    "stopped": "made no progress for 5 s",
    "bloated": "of memory",
}
_SIGNALS = {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}


def bloat(_context: TaskContext) -> bytes:
    """Fill memory in a child of this benchmark."""
    hoard: list[bytes] = []
    while True:
        hoard.append(os.urandom(1 << 10) * (8 << 10))


TASKS = {**tasks.TASKS, "bloat": bloat}


def main() -> None:
    """Measure both and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--titles", type=int, default=300, help="0: only the cost")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parse(parser, small)
    cost = measure_cost(arguments.film, arguments.rounds)
    show_cost(cost)
    accidents = measure_faults(arguments.titles, arguments.seed) if arguments.titles else {}
    if accidents:
        show_faults(accidents)
    write_json(arguments.json, {"cost": cost, "accidents": accidents})
    sys.exit(bool(cost["differences"] or accidents.get("wrong")))


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.film), "--rounds", "1", "--titles", "6"]


class Pass(NamedTuple):
    """One decode: CPU seconds of all processes, seconds, and the shots that it found."""

    cpu_s: float
    seconds: float
    found: Any


def measure_cost(film: Path, rounds: int) -> dict[str, Any]:
    """Decode a film in a child and in this process, in turn."""
    file = TitleFile.at(film)
    described = probe(file)
    detector = TransNetV2Detector(load_settings())
    passes: dict[str, list[Pass]] = {"here": [], "child": []}
    with tempfile.TemporaryDirectory() as folder:
        decode = _Decode(file, described, detector, Path(folder))
        decode.here()  # loads the network, and brings the file into memory
        start = time.perf_counter()
        with TitleReader(LimitSettings()) as reader:  # starts the server
            reader.probe(file)
        first_child_s = time.perf_counter() - start
        for number in range(rounds):
            turns = [("here", decode.here), ("child", decode.child)]
            for name, run in turns if number % 2 else reversed(turns):
                passes[name].append(run())
    pairs = list(zip(passes["here"], passes["child"], strict=True))
    return {
        "film": film.name,
        "rounds": rounds,
        "first_child_s": first_child_s,
        "here": _medians(passes["here"]),
        "child": _medians(passes["child"]),
        "extra_cpu": statistics.median(child.cpu_s / here.cpu_s - 1 for here, child in pairs),
        "extra_seconds": statistics.median(
            child.seconds / here.seconds - 1 for here, child in pairs
        ),
        "differences": sum(here.found != child.found for here, child in pairs),
    }


class _Decode:
    def __init__(
        self, file: TitleFile, described: MediaProbe, detector: TransNetV2Detector, folder: Path
    ) -> None:
        self._file = file
        self._described = described
        self._detector = detector
        self._folder = folder

    def here(self) -> Pass:
        return self._measured(lambda *arguments: (decode_title(*arguments), 0.0))

    def child(self) -> Pass:
        def run(*arguments: Any) -> tuple[Any, float]:
            with TitleReader(LimitSettings(), probe=self._described) as reader:
                summary = reader.decode(*arguments)
            return summary, reader.used.cpu_s

        return self._measured(run)

    def _measured(self, run: Callable[..., tuple[Any, float]]) -> Pass:
        sound = self._folder / "sound.flac"
        pictures: list[Any] = []
        began, cpu = time.perf_counter(), time.process_time()
        summary, child_cpu_s = run(
            self._file,
            "film",
            self._described,
            self._detector,
            load_settings().keyframes,
            pictures.append,
            sound,
        )
        cpu_s = time.process_time() - cpu + child_cpu_s
        seconds = time.perf_counter() - began
        samples = sound.read_bytes() if sound.exists() else b""
        return Pass(cpu_s, seconds, (summary.shots, summary.duration_s, pictures, samples))


def _medians(passes: Sequence[Pass]) -> dict[str, float]:
    return {
        "cpu_s": statistics.median(each.cpu_s for each in passes),
        "seconds": statistics.median(each.seconds for each in passes),
    }


def show_cost(cost: dict[str, Any]) -> None:
    """Print the table of the cost."""
    title = f"one decode of {cost['film']}, medians of {cost['rounds']}"
    table = Table("", "CPU s", "s", title=title)
    for name, words in (("here", "in this process"), ("child", "in a child")):
        table.add_row(words, f"{cost[name]['cpu_s']:.2f}", f"{cost[name]['seconds']:.2f}")
    table.add_row("more", f"{cost['extra_cpu']:+.1%}", f"{cost['extra_seconds']:+.1%}")
    console = Console()
    console.print(table)
    console.print(
        f"{cost['differences']} of {cost['rounds']} pairs differ in shots, keyframes or sound; the "
        f"first child of a process, with its server: {cost['first_child_s']:.2f} s"
    )


class FaultInjectingReader(TitleReader):
    """A reader with faults injected into its child.

    Attributes:
        plan: fault of a title's child at a task, and the number of messages before it.
    """

    plan: dict[tuple[str, str], tuple[str, int]]

    def run(
        self,
        task: str,
        activity: str,
        files: Sequence[TitleFile],
        arguments: dict[str, Any],
        handle: Handler = lambda _message: None,
        writable: Sequence[int] = (),
    ) -> bytes:
        """Run a task as `TitleReader.run` does, with the planned fault."""
        fault, after = self.plan.pop((files[0].path.parent.name, task), ("", 0))
        child = self._child_for(files[0], activity)
        received = 0

        def inject() -> None:
            if fault in _SIGNALS and received == after:
                os.kill(child.process, _SIGNALS[fault])

        def listen(message: Message) -> Message | None:
            nonlocal received
            received += 1
            inject()
            return handle(message)

        inject()
        task = "bloat" if fault == "bloated" else task
        return super().run(task, activity, files, arguments, listen, writable)


def measure_faults(titles: int, seed: int) -> dict[str, Any]:
    """Ingest titles, with faults in a third of them."""
    rng = random.Random(seed)
    names = [f"title-{number}" for number in range(titles)]
    faulty = {name: rng.choice(list(_FAULTS)) for name in rng.sample(names, titles // 3)}
    plan = {}
    for name, fault in faulty.items():
        task = rng.choice(_TASKS)
        plan[name, task] = fault, rng.randrange(2) if task == "decode" else 0

    class FaultInjectingPlatform(QuickPlatform):
        def reader(self, *arguments: Any, **more: Any) -> TitleReader:
            made = FaultInjectingReader(_LIMITS, *arguments, **more, tasks="benchmarks.isolation")
            made.plan = plan
            return made

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        inbox = make_titles(Path(folder, "inbox"), titles, 4.0)
        platform = FaultInjectingPlatform(settings_for(inbox, Path(folder, "store")))
        said = ingest(platform)
        ended = {entry.title_id: entry.reason for entry in Quarantine(platform.store)}
        states = {each.title_id: each.state for each in catalogue_states(platform)}
    right = {
        name: _FAULTS[faulty[name]] in ended.get(name, "")
        if name in faulty
        else states[name] == "present"
        for name in names
    }
    wrong = {name: ended.get(name, states[name]) for name in names if not right[name]}
    return {
        "titles": titles,
        "seconds": time.perf_counter() - began,
        "faulty": dict(Counter(faulty.values())),
        "held_back": len(ended),
        "complete": sum(state == "present" for state in states.values()),
        "wrong": wrong,
        "said": said,
        "reasons": sorted(ended.values())[:10],
    }


def show_faults(found: dict[str, Any]) -> None:
    """Print the table of the injected faults."""
    title = f"{found['titles']} titles, ingested within {found['seconds']:.0f} s"
    table = Table("", "titles", title=title)
    for fault, count in found["faulty"].items():
        table.add_row(fault, str(count))
    table.add_row("held back", str(found["held_back"]))
    table.add_row("complete", str(found["complete"]))
    table.add_row("otherwise than they should be", str(len(found["wrong"])))
    console = Console()
    console.print(table)
    for name, state in found["wrong"].items():
        console.print(f"{name}: {state}")
    console.print(found["said"])


if __name__ == "__main__":
    main()
