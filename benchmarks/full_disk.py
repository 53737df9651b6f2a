"""Ingest on disks that are too small: the message of each run, and a plain rerun with room.

    python -m benchmarks.full_disk [--sizes 20] [--titles 4] [--command INBOX] [--json FILE]

A small file system is mounted for each size, from far too small to nearly enough, and the store is
on it. The run must end with one sentence about the full disk and quarantine no title. Then the
file system is given room, and a plain rerun must give the store of an undisturbed run.

Titles and networks are those of `quick_catalogue`. With `--command` it is `mediafm run` itself over
an inbox, as a process, with its Dagster home in the store. Mounting takes root; without, the size
of files is limited instead, up to that of the largest one.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from small_disk import NoMountError, resize, small_disk

from benchmarks.options import parse, write_json
from benchmarks.quick_catalogue import QuickPlatform, ingest, make_titles, settings_for
from benchmarks.small_inputs import SmallInputs
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

_ROOM_KIB = 1 << 20
_BLOCK = 4096

Run = Callable[[Path], tuple[int, str]]
"""Takes a store in; returns the exit code and the last sentence."""


def main() -> None:
    """Run on every size and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--titles", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a title")
    parser.add_argument("--command", type=Path, metavar="INBOX", help="with `mediafm run` itself")
    arguments = parse(parser, small)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.command:
            found = measure(folder, arguments.sizes, by_command(arguments.command))
        else:
            inbox = make_titles(folder / "inbox", arguments.titles, arguments.seconds)
            found = measure(folder, arguments.sizes, by_core(inbox))
    failed = [each for each in found if each["quarantined"] or each["differences"]]
    print(
        f"{len(found)} sizes, {sum(bool(each['exit_code']) for each in found)} runs that failed, "
        f"{sum(each['quarantined'] for each in found)} titles quarantined, "
        f"{len(failed)} stores that differ or quarantine a title"
    )
    write_json(arguments.json, found)
    sys.exit(bool(failed))


def small(_: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return ["--sizes", "2", "--titles", "2", "--seconds", "4"]


def measure(folder: Path, sizes: int, run: Run) -> list[dict]:
    """Run on each size, then with room."""
    whole = Store(folder / "undisturbed")
    code, sentence = run(whole.root)
    if code:
        raise SystemExit(f"The undisturbed run fails: {sentence}")
    sizes_kib = [_on_disk(path) >> 10 for path in whole.root.rglob("*")]
    found = []
    for number in range(1, sizes + 1):
        share = number / (sizes + 1)
        with little_room(folder / f"disk-{number}", sizes_kib, share) as room:
            store = Store(room.folder / "store")
            code, sentence = run(store.root)
            held_back = list(Quarantine(store))
            room.give()
            again, said_again = run(store.root)
            different = differences(whole, store)
            if again:
                different.append(f"the rerun ends with {again}: {said_again}")
        found.append(
            {
                "kib": room.kib,
                "exit_code": code,
                "sentence": sentence,
                "quarantined": len(held_back),
                "differences": different,
            }
        )
        print(json.dumps(found[-1]), flush=True)
    return found


class Room(NamedTuple):
    """A folder with little free space, and a function that enlarges it."""

    folder: Path
    kib: int
    give: Callable[[], None]


@contextmanager
def little_room(folder: Path, sizes_kib: Sequence[int], share: float) -> Iterator[Room]:
    """Make a folder with a share of the room that files of some sizes take."""
    with ExitStack() as stack:
        kib = max(4, int(share * sum(sizes_kib)) // 4 * 4)
        try:
            stack.enter_context(small_disk(folder, kib))
        except NoMountError as error:
            print(f"{error}: the size of files is limited instead", file=sys.stderr)
            limit_kib = max(4, int(share * max(sizes_kib)))
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            lift = partial(resource.setrlimit, resource.RLIMIT_FSIZE, before)
            stack.callback(lift)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kib << 10, before[1]))
            yield Room(folder, limit_kib, lift)
        else:
            yield Room(folder, kib, partial(resize, folder, _ROOM_KIB))


def by_core(inbox: Path) -> Run:
    """Run in this process, with encoders that are sums."""

    def run(store: Path) -> tuple[int, str]:
        sentence = ingest(QuickPlatform(settings_for(inbox, store)))
        return int(bool(sentence)), sentence

    return run


def by_command(inbox: Path) -> Run:
    """Run `mediafm run` over an inbox."""

    def run(store: Path) -> tuple[int, str]:
        command = [sys.executable, "-m", "mediafm_core", "run"]
        done = subprocess.run(
            [*command, "--inbox", str(inbox), "--store", str(store)], capture_output=True, text=True
        )
        said = done.stderr.strip().splitlines()
        return done.returncode, said[-1] if said else ""

    return run


def _on_disk(path: Path) -> int:
    return -(-path.stat().st_size // _BLOCK) * _BLOCK if path.is_file() else 0


if __name__ == "__main__":
    main()
