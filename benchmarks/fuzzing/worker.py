"""A process that runs inputs, one after the other, and reports the outcome of each.

    python -m benchmarks.fuzzing.worker CORPUS FOLDER

reads lines of kind, number and seed with tabs between them and answers each with a line of JSON. It
is started, limited, watched and replaced by `benchmarks.fuzzing.pool`.
"""

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing.corpus import Corpus
from benchmarks.fuzzing.inputs import Input, Kind, RefusedError
from benchmarks.fuzzing.kinds import kinds
from benchmarks.fuzzing.mutations import Sound
from benchmarks.fuzzing.watch import PythonWatch
from benchmarks.fuzzing.worker_folder import prepare
from mediafm_core.errors import MediaFMError, WorkError

SOUND = -1  # number of the unchanged input of a kind
LONGEST = 300  # limit of characters in a refusal
_SHOWN = 2000


def draw(kind: Kind, seed: int, number: int, corpus: Corpus, root: Path) -> Input:
    """Draw the input of a number; a seed gives the same input in every worker."""
    generator = Sound if number == SOUND else Random
    return kind.make(generator(f"{seed}/{kind.name}/{number}"), corpus, root)


def main() -> None:
    """Answer until standard input ends."""
    corpus, root, known = Corpus(Path(sys.argv[1])), Path(sys.argv[2]), kinds()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to it
    logging.disable(logging.CRITICAL)
    watch = PythonWatch(_allowed(root, corpus))
    answers.write("ready\n")
    answers.flush()
    tried: dict[str, dict[str, Any]] = {}
    for line in sys.stdin:
        name, number, seed = line.rstrip("\n").split("\t")
        kind = known[name]
        if name not in tried:  # imported packages read files of their own
            tried[name] = _sound(kind, int(seed), corpus, root)
        found = tried[name]
        if found["came"] == "served":
            watch.seen.clear()
            prepare(root, corpus)
            found = _taken(kind, draw(kind, int(seed), int(number), corpus, root), root)
        if watch.seen and found["came"] != "unsound":
            opened = "; ".join(sorted(set(watch.seen)))
            found |= {"came": "foreign", "text": f"{opened}. {found['text']}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _taken(kind: Kind, made: Input, root: Path) -> dict[str, Any]:
    """Run an input; return the outcome with the peak of the memory meanwhile."""
    made.write(root)
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
    return {**_result(kind, root, made), "mutation": made.mutation, "peak_mib": _peak_mib()}


def _sound(kind: Kind, seed: int, corpus: Corpus, root: Path) -> dict[str, Any]:
    """Run the sound input of a kind, which has to be served; return the outcome."""
    prepare(root, corpus)
    found = _taken(kind, draw(kind, seed, SOUND, corpus, root), root)
    return found if found["came"] == "served" else {**found, "came": "unsound"}


def _peak_mib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(each.split()[1]) >> 10 for each in lines if each.startswith("VmHWM:"))


def _result(kind: Kind, root: Path, made: Input) -> dict[str, Any]:
    try:
        kind.run(root, made)
    except (WorkError, RefusedError, MediaFMError) as error:
        text = str(error)
        if isinstance(error, WorkError):
            return {"came": "unexplained", "text": text}
        if len(text) > LONGEST or "\n" in text:
            return {"came": "long", "text": text[:_SHOWN]}
        if kind.names and not any(name in text for name in kind.names):
            return {"came": "unnamed", "text": text}
        return {"came": "refused", "text": text}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - this is what is looked for
        lines = traceback.format_exception(error)
        return {"came": "traceback", "text": "".join(lines)[-_SHOWN:]}
    return {"came": "served", "text": ""}


def _allowed(root: Path, corpus: Corpus) -> list[Path]:
    """Return the places where Python code may open files: all but the inputs of others."""
    packages = {Path(each) for each in sys.path if each}
    return [
        *(each for each in root.iterdir() if each.name != "outside"),
        *(root / name for name in ("inbox", "store", "fresh_store", "adopted", "dagster_home")),
        *(root / name for name in ("mediafm.toml", "variable.txt", "arguments.txt")),
        *(root / f"{name}.json" for name in ("ingest_title", "release_model", "rollback_model")),
        *(corpus.folder, *packages, Path(sys.prefix), Path(sys.base_prefix)),
        *map(Path, ("/proc", "/sys", "/dev", "/usr", "/etc", "/lib")),
        Path(os.environ["TMPDIR"]),
        Path(os.environ["XDG_CACHE_HOME"]),
    ]


if __name__ == "__main__":
    main()
