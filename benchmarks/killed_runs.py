"""Kill `mediafm run` at random moments; a plain rerun must give the store of an undisturbed run.

    python -m benchmarks.killed_runs INBOX [--kills 20] [--seed 0] [--json FILE]

Each trial starts with an empty store, is killed with SIGKILL at a moment drawn uniformly from the
length of the undisturbed run, and is then run again to its end and compared with it. `--chained`
kills the reruns too: one store, as many kills as asked for, then one run to the end; the moments
are then drawn from the length that an undisturbed run has left at that point.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mediafm_core.store.artefacts import Store
from mediafm_core.store.comparison import differences


def main() -> None:
    """Run the trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chained", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Store(Path(folder) / "undisturbed")
        length = finish(arguments.inbox, whole)
        print(f"undisturbed: {length:.1f} s", flush=True)
        trials = []
        for number in range(arguments.kills):
            store = Store(Path(folder) / ("chained" if arguments.chained else f"killed_{number}"))
            moment = moments.uniform(0.0, length)
            done = kill(arguments.inbox, store, moment)
            last = number == arguments.kills - 1
            trial = {"killed_after": round(moment, 1), "had_finished": done}
            if not arguments.chained or last:
                trial["rerun_seconds"] = round(finish(arguments.inbox, store), 1)
                trial["differences"] = differences(whole, store)
            trials.append(trial)
            print(json.dumps(trial), flush=True)
    different = [trial for trial in trials if trial.get("differences")]
    print(f"{len(trials)} kills, {len(different)} stores that differ from the undisturbed one")
    if arguments.json:
        arguments.json.write_text(json.dumps({"seconds": length, "trials": trials}, indent=2))
    sys.exit(bool(different))


def command(inbox: Path, store: Store) -> list[str]:
    """A plain `mediafm run`."""
    mediafm = [sys.executable, "-m", "mediafm_core", "run"]
    return [*mediafm, "--inbox", str(inbox), "--store", str(store.root)]


def finish(inbox: Path, store: Store) -> float:
    """Run to the end; the seconds it took."""
    started = time.perf_counter()
    subprocess.run(command(inbox, store), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def kill(inbox: Path, store: Store, moment: float) -> bool:
    """Start a run and kill it after some seconds; whether it had finished by then."""
    process = subprocess.Popen(command(inbox, store), stdout=subprocess.DEVNULL)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    return True


if __name__ == "__main__":
    main()
