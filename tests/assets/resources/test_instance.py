"""The Dagster home of a catalogue: created once, also by processes that open it together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm_assets.resources.instance import dagster_home, open_instance
from mediafm_core.errors import ConfigurationError
from mediafm_core.store.store import Store

PROCESSES = 3
# All processes wait for the end of their input, so that they open the home together.
OPEN = """
import sys
from pathlib import Path
from mediafm_assets.resources.instance import open_instance
from mediafm_core.store.store import Store
print(flush=True)
sys.stdin.read()
with open_instance(Store(Path(sys.argv[1]))) as instance:
    instance.add_dynamic_partitions("titles", [sys.argv[2]])
"""


def test_processes_that_open_a_new_home_together_all_succeed(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    ready, go = os.pipe()
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / "store"), f"title{number}"],
            stdin=ready,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    os.close(ready)
    for opener in openers:
        assert opener.stdout
        opener.stdout.readline()
    os.close(go)
    for opener in openers:
        _, errors = opener.communicate()
        assert (opener.returncode, errors) == (0, "")
    home = tmp_path / "store" / "dagster_home"
    assert (home / "dagster.yaml").read_text() == (
        Path(__file__).parents[3] / "dagster_home" / "dagster.yaml"
    ).read_text()


def test_a_remote_store_needs_a_local_home(monkeypatch: pytest.MonkeyPatch):
    from mediafm_core.config.settings import load_settings
    from mediafm_core.store.open_store import open_store

    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    store: Store = open_store(load_settings(store="s3://bucket/prefix"))
    with pytest.raises(ConfigurationError, match="set DAGSTER_HOME to a folder of this machine"):
        dagster_home(store)


@pytest.mark.parametrize(
    "content",
    [
        b"telemetry: [",
        b"\xff\xfe\x00",
        b"- a list",
        b"unknown_section: 1\n",
        b"telemetry:\n  enabled: 1e308\n",
        b"run_launcher:\n  class: Launcher\n",
        b"concurrency:\n  pools:\n    default_limit: many\n",
        b"concurrency:\n  pools:\n    default_limit: 2147483648\n",
        b"run_monitoring:\n  enabled: " + b"[" * 20_000,
    ],
)
def test_a_dagster_yaml_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_bytes(content)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml cannot be used \(") as caught:
        open_instance(Store(tmp_path / "store"))
    assert len(str(caught.value)) <= 300
    assert str(caught.value).endswith("delete it, which restores the default.")
