"""Removal of titles from a catalogue."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import mediafm_core
from mediafm_core.cli.main import main
from mediafm_core.errors import ConfigurationError
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.retirement import retire
from mediafm_core.store.features import catalogue as published

# Dies while the files of a title are deleted.
_KILLED = """
import os, signal, sys
from pathlib import Path
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.retirement import retire
from mediafm_core.storage.local import LocalFiles
remove, left = LocalFiles.remove, int(sys.argv[1])
def removing(files, key):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    remove(files, key)
LocalFiles.remove = removing
retire(Platform(load_settings()), ["cat"])
"""


def files_of(store: Path, title_id: str) -> list[Path]:
    return [path for path in store.rglob(f"{title_id}.*") if ".versions" not in path.parts]


def environment(catalogue) -> dict[str, str]:
    return {
        **os.environ,
        "MEDIAFM_INBOX": str(catalogue.inbox),
        "MEDIAFM_STORE": str(catalogue.store),
    }


def test_nothing_is_left_of_a_retired_title(catalogue):
    platform = catalogue.platform()
    Quarantine(platform.store).add("cat", "title", "It was broken.", "a fingerprint")
    others = {path: path.read_bytes() for path in files_of(catalogue.store, "coffee")}
    assert files_of(catalogue.store, "cat")
    shutil.rmtree(catalogue.inbox / "cat")

    retired = retire(platform, ["cat"])
    assert (retired.seen, retired.files > 10, retired.bytes > 10_000) == (1, True, True)
    assert set(published(platform.store).versions) == {"coffee"}
    assert files_of(catalogue.store, "cat") == []
    assert {path: path.read_bytes() for path in files_of(catalogue.store, "coffee")} == others
    assert list(Quarantine(platform.store)) == []

    again = retire(platform, ["cat", "never-heard-of"])
    assert (again.seen, again.files, again.bytes) == (0, 0, 0)


def test_a_title_in_the_inbox_is_refused_and_left_alone(catalogue):
    platform = catalogue.platform()
    shutil.rmtree(catalogue.inbox / "coffee")
    with pytest.raises(ConfigurationError, match=r"^cat would be ingested again.*move its folder"):
        retire(platform, ["coffee", "cat"])
    assert set(published(platform.store).versions) == {"cat", "coffee"}
    assert files_of(catalogue.store, "coffee")


@pytest.mark.parametrize("deleted", [0, 5])
def test_the_next_retirement_removes_the_rest_after_a_kill(catalogue, deleted):
    shutil.rmtree(catalogue.inbox / "cat")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(deleted)], env=environment(catalogue), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    platform = catalogue.platform()
    assert set(published(platform.store).versions) == {"coffee"}, "readers stop seeing it first"
    assert files_of(catalogue.store, "cat")
    assert retire(platform, ["cat"]).files > 0
    assert files_of(catalogue.store, "cat") == []


def test_the_command_says_what_it_did(catalogue, monkeypatch):
    for name, value in environment(catalogue).items():
        monkeypatch.setenv(name, value)
    refused = CliRunner().invoke(main, ["retire", "cat"])
    assert refused.exit_code == 1
    assert "move its folder out of the inbox" in refused.output
    shutil.rmtree(catalogue.inbox / "cat")
    result = CliRunner().invoke(main, ["retire", "cat"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("cat: 1 titles removed from readers, ")
    query = "SELECT title_id FROM titles"
    assert mediafm_core.sql(query)["title_id"].to_pylist() == ["coffee"]
