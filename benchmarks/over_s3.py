"""`mediafm run` with inbox and store in S3, with injected faults, beside a run on a local disk.

    python -m benchmarks.over_s3 INBOX [--share 0.02] [--local STORE] [--keep DIR] [--json FILE]

A real S3 server (SeaweedFS, of the development requirements) runs on the loopback interface, and
before it a proxy that drops, delays and cuts requests or answers 503, by a seed. At the end the two
stores are compared, numbers of vectors to the last bit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from faulty_proxy import FAULTS, FaultyProxy, faulty_proxy
from s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from stored_files import upload_folder

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.settings import load_settings
from mediafm_core.store.equality import differences
from mediafm_core.store.open_store import open_store
from mediafm_core.store.store import Store

INBOX, STORE = "s3://arrivals/titles", "s3://results/catalogue"


def main() -> None:
    """Run both and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("--share", type=float, default=0.02, help="of requests, for each fault")
    parser.add_argument("--local", type=Path, help="a finished store of the inbox")
    parser.add_argument("--keep", type=Path, help="folder for the stores, kept afterwards")
    arguments = parse(parser, small)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        found = compare(folder, arguments.inbox, arguments.local, arguments.share)
    print(json.dumps(found, indent=2))
    write_json(arguments.json, found)
    sys.exit(bool(found["differences"]))


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.inbox), "--local", str(inputs.store)]


def compare(folder: Path, inbox: Path, local: Path | None, share: float) -> dict:
    """Run both and return their costs, the injected faults and the differences of the stores."""
    shares = {**dict.fromkeys(FAULTS, share), "hung": share / 10}
    with (
        s3_server(folder / "s3") as server,
        faulty_proxy(server.endpoint, shares, seed=1) as proxy,
    ):
        for place in (INBOX, STORE):
            server.bucket(place.split("/")[2])
        upload_folder(server, inbox, INBOX)
        remote = over_s3(folder, proxy)
        seconds = None
        if local is None:
            local = folder / "store"
            seconds = run({"MEDIAFM_INBOX": str(inbox), "MEDIAFM_STORE": str(local)})
        store = open_store(load_settings(store=STORE, s3=section(server.endpoint, folder / "look")))
        return {"local_seconds": seconds, **remote, "differences": differences(Store(local), store)}


def over_s3(folder: Path, proxy: FaultyProxy) -> dict:
    """Run through the proxy, and once more when nothing is left to do."""
    own = section(proxy.endpoint, folder / "cache")
    variables = {
        "MEDIAFM_INBOX": INBOX,
        "MEDIAFM_STORE": STORE,
        "DAGSTER_HOME": str(folder / "dagster_home"),
        **{f"MEDIAFM_S3__{name.upper()}": str(value) for name, value in own.items()},
    }
    seconds = run(variables)
    found = {
        "seconds": seconds,
        "requests": dict(proxy.requests),
        "transferred_mib": proxy.transferred >> 20,
        "faults": dict(proxy.injected),
    }
    return {**found, "nothing_to_do_seconds": run(variables)}


def section(endpoint: str, cache: Path) -> dict:
    """Return the settings `s3`."""
    return {
        "endpoint_url": endpoint,
        "region": "us-east-1",
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "read_timeout_s": 5.0,
        "cache": cache,
    }


def run(variables: dict[str, str]) -> float:
    """Run to the end and return the seconds it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "mediafm_core", "run"]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, **variables})
    return round(time.perf_counter() - started, 1)


if __name__ == "__main__":
    main()
