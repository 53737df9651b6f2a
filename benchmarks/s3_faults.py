"""Ingest with inbox and store in S3 while a part of the requests fail.

    python -m benchmarks.s3_faults [--percent 12 25 40] [--titles 3] [--json FILE]

A real S3 server (SeaweedFS, of the development requirements) runs on the loopback interface, and
before it a proxy that refuses, loses, delays and cuts requests or answers 503, by a seed. A run may
end with a sentence about the service and must quarantine no title; a plain rerun without faults
must give the store of an undisturbed run on a local disk. Titles and networks are those of
`quick_catalogue`.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from faulty_proxy import FAULTS, FaultyProxy, faulty_proxy
from s3_server import ACCESS_KEY, SECRET_KEY, S3Server, s3_server
from stored_files import upload_folder

from benchmarks.options import parse, write_json
from benchmarks.quick_catalogue import QuickPlatform, ingest, make_titles, settings_for
from benchmarks.small_inputs import SmallInputs
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

_READ_TIMEOUT_S = 2.0
_HUNG = 0.05  # of all faults, since each one takes the read time-out


def main() -> None:
    """Run at each share of faults and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--percent", type=float, nargs="+", default=[12.0, 25.0, 40.0])
    parser.add_argument("--titles", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a title")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parse(parser, small)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inbox = make_titles(folder / "inbox", arguments.titles, arguments.seconds)
        whole = QuickPlatform(settings_for(inbox, folder / "undisturbed"))
        if sentence := ingest(whole):
            raise SystemExit(f"The undisturbed run fails: {sentence}")
        with s3_server(folder / "s3") as server:
            server.bucket("arrivals")
            server.bucket("results")
            upload_folder(server, inbox, "s3://arrivals/titles")
            found = [
                measure(folder, server, whole.store, percent, arguments.seed)
                for percent in arguments.percent
            ]
    failed = [each for each in found if each["quarantined"] or each["differences"]]
    print(f"{len(found)} shares of faults, {len(failed)} stores that differ or quarantine a title")
    write_json(arguments.json, found)
    sys.exit(bool(failed))


def small(_: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return ["--percent", "25", "--titles", "1", "--seconds", "4"]


def measure(folder: Path, server: S3Server, whole: Store, percent: float, seed: int) -> dict:
    """Run with faults, then without."""
    place = f"s3://results/{percent:g}-percent"

    def platform(endpoint: str, cache: str) -> QuickPlatform:
        own = {
            "endpoint_url": endpoint,
            "region": "us-east-1",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "read_timeout_s": _READ_TIMEOUT_S,
            "cache": folder / cache,
        }
        return QuickPlatform(settings_for("s3://arrivals/titles", place, s3=own))

    with faulty_proxy(server.endpoint, _shares(percent / 100), seed) as proxy:
        started = time.perf_counter()
        sentence = ingest(platform(proxy.endpoint, f"cache-{percent:g}"))
        seconds = time.perf_counter() - started
        counted = _counted(proxy)
    again = platform(server.endpoint, f"cache-again-{percent:g}")
    held_back = list(Quarantine(again.store))
    said_again = ingest(again)
    different = differences(whole, again.store)
    if said_again:
        different.append(f"the rerun ends with: {said_again}")
    found = {
        "percent": percent,
        "seconds": round(seconds, 1),
        **counted,
        "sentence": sentence,
        "quarantined": len(held_back),
        "differences": different,
    }
    print(json.dumps(found), flush=True)
    return found


def _shares(total: float) -> dict[str, float]:
    each = total * (1 - _HUNG) / (len(FAULTS) - 1)
    return {**dict.fromkeys(FAULTS, each), "hung": total * _HUNG}


def _counted(proxy: FaultyProxy) -> dict:
    return {"requests": proxy.requests.total(), "faults": proxy.injected.total()}


if __name__ == "__main__":
    main()
