"""A real PostgreSQL server for tests: a cluster of its own in a temporary folder, on loopback."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "mediafm"
_ATTEMPTS = 5  # another process may take the free port first
# No test needs data after a crash.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class NoPostgresError(Exception):
    """Error for missing programs of the server, with the remedy."""


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        user: owner of everything.
        password: required by the server.
    """

    port: int
    user: str = _USER
    password: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    def address(self, database: str) -> dict[str, str | int]:
        """Return a database as Dagster's settings name it."""
        return {
            "hostname": "127.0.0.1",
            "port": self.port,
            "db_name": database,
            "username": self.user,
            "password": self.password,
        }

    def create(self, database: str, copy_of: str = "template1") -> str:
        """Make a database, empty or with the content of another, and return its name."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname="postgres",
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{database}" TEMPLATE "{copy_of}"')
        finally:
            connection.close()
        return database


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Start a server in a folder of its own, and end it.

    PostgreSQL refuses to run as root; then the package's own user runs it.

    Raises:
        NoPostgresError: the programs, or a user to run them, are missing.
    """
    programs, account = find_programs(), _account()
    with tempfile.TemporaryDirectory(prefix="mediafm-postgres-") as name:
        folder, server = Path(name), Postgres(_free_port())
        secret, said, log = (folder / part for part in ("password", "said", "log"))
        secret.write_text(server.password)
        if account:
            for path in (folder, secret):
                os.chown(path, account.pw_uid, account.pw_gid)

        def run(program: str, *arguments: str) -> bool:
            """Run a program of the server, its output into a file; return True if it succeeds."""
            command = [programs / program, "--pgdata", folder / "data", *arguments]
            with said.open("ab") as output:
                process = subprocess.run(
                    command, stdout=output, stderr=output, cwd=folder, **_as_user(account)
                )
            return process.returncode == 0

        def start(port: int) -> bool:
            settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *_FAST]
            options = " ".join([f"-p {port}", *(f"-c {setting}" for setting in settings)])
            return run("pg_ctl", "start", "--wait", "--log", str(log), "--options", options)

        ready = run(
            *("initdb", "--username", server.user, "--pwfile", str(secret)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        attempts = _ATTEMPTS if ready else 0
        while attempts and not start(server.port):
            attempts -= 1
            server = replace(server, port=_free_port())
        if not attempts:
            texts = [path.read_text() for path in (said, log) if path.exists()]
            raise RuntimeError("PostgreSQL does not start:\n" + "\n".join(texts))
        try:
            yield server
        finally:
            run("pg_ctl", "stop", "--mode=immediate")


def find_programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl` of the newest installed version."""
    found = shutil.which("initdb")
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    candidates = [*([Path(found)] if found else []), *versions]
    if not candidates:
        raise NoPostgresError("PostgreSQL is not installed: apt install postgresql.")
    return candidates[-1].parent


def _account() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise NoPostgresError(
            "PostgreSQL does not run as root and there is no user postgres: apt install postgresql."
        ) from None


def _as_user(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
