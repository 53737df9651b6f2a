"""Inbox and store by configuration: places, environments, commands, Dagster's resources."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster_aws.s3 import S3Resource
from faulty_proxy import FaultyProxy
from s3_server import SECRET_KEY

from mediafm_assets.resources.instance import dagster_home
from mediafm_assets.resources.platform_resource import resources
from mediafm_assets.resources.s3_resource import ConfiguredS3
from mediafm_core.cli.main import main
from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.storage.local import LocalFiles
from mediafm_core.storage.open_files import open_files
from mediafm_core.storage.s3 import S3Files
from mediafm_core.storage.s3_client import s3_client
from mediafm_core.store.open_store import open_store

HOMES = Path(__file__).parents[2] / "dagster_home"


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], place: S3Location
) -> S3Location:
    """Set inbox and store in S3 by environment variables; return the location of the store."""
    monkeypatch.setenv("MEDIAFM_STORE", str(place))
    monkeypatch.setenv("MEDIAFM_INBOX", f"{place}-inbox")
    for name, value in settings.items():
        monkeypatch.setenv(f"MEDIAFM_S3__{name.upper()}", str(value))
    return place


class TestPlaces:
    @pytest.mark.parametrize("text", ["s3://films", "s3://films/a/b", "S3://films/a/b/"])
    def test_addresses(self, text: str) -> None:
        store = load_settings(store=text).require_store()
        assert isinstance(store, S3Location)
        assert str(store) == text.lower().rstrip("/")
        assert store.key("title/x.json").removeprefix(f"{store.prefix}/") == "title/x.json"

    def test_anything_without_a_scheme_is_a_folder(self, tmp_path: Path) -> None:
        for text in ("films", str(tmp_path), "s3/films", "~odd name"):
            assert load_settings(store=text).require_store() == Path(text).absolute()

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("gs://films/a", "gs://films/a is neither a folder nor s3://bucket/prefix"),
            ("s3://", "s3:// names no bucket"),
            ("s3://a_b/c", "s3://a_b/c names no bucket"),
            ("s3://films/../x", "s3://films/../x has an empty part"),
            ("s3://films//x", "s3://films//x has an empty part"),
        ],
    )
    def test_unusable_addresses(self, text: str, fault: str) -> None:
        with pytest.raises(ConfigurationError, match=f"Setting 'store' cannot be used: {fault}"):
            load_settings(store=text)

    def test_one_key_without_the_other(self) -> None:
        with pytest.raises(ConfigurationError, match="both access_key_id and secret_access_key"):
            load_settings(s3={"access_key_id": "only"})

    def test_a_key_in_the_address_is_refused_and_not_repeated(self) -> None:
        address = f"http://me:{SECRET_KEY}@localhost:9000"
        with pytest.raises(ConfigurationError, match="endpoint_url holds a name or key") as caught:
            load_settings(s3={"endpoint_url": address})
        assert SECRET_KEY not in str(caught.value)

    def test_settings_survive_as_json(self, tmp_path: Path) -> None:
        before = load_settings(inbox="s3://films/in", store=tmp_path)
        after = type(before).model_validate_json(before.model_dump_json())
        assert (after.inbox, after.store) == (before.inbox, before.store)

    def test_files_of_each_kind(self, tmp_path: Path) -> None:
        s3 = load_settings(s3={"region": "eu-west-1", "cache": tmp_path}).s3
        assert isinstance(open_files(tmp_path, s3), LocalFiles)
        remote = open_files(S3Location("films", "a"), s3)
        assert isinstance(remote, S3Files)
        assert remote.location == "s3://films/a"


def test_the_settings_file_of_each_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for path in sorted(HOMES.glob("*/mediafm.toml")):
        monkeypatch.setenv("MEDIAFM_CONFIG", str(path))
        found[path.parent.name] = load_settings()
    assert not found["development"].uses_s3
    assert found["production"].uses_s3
    assert found["production"].s3.secret_access_key is None


class TestCommands:
    def test_doctor_checks_inbox_and_store(
        self, environment: S3Location, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def checks() -> dict[str, str]:
            output = CliRunner().invoke(main, ["doctor", "--json"]).stdout
            assert SECRET_KEY not in output
            findings = json.loads(output)["checks"]
            return {each["check"]: f"{each['level']}: {each['message']}" for each in findings}

        found = checks()
        assert found["store"].startswith(f"ok: {environment} can be written")
        assert f"warning: The inbox {environment}-inbox has no title folder" in found["inbox"]
        monkeypatch.setenv("MEDIAFM_STORE", "s3://that-is-missing/store")
        monkeypatch.setenv("MEDIAFM_S3__SECRET_ACCESS_KEY", "wrong")
        found = checks()
        assert found["store"].startswith("error: http://127.0.0.1:")
        assert "refuses ListObjectsV2" in found["inbox"]

    def test_queries_of_an_empty_store_are_refused(self, environment: S3Location) -> None:
        for command in (["sql", "FROM titles"], ["similar", "a", "0", "1"], ["status"]):
            result = CliRunner().invoke(main, command)
            assert result.exit_code == 1
            assert f"Error: There is no store in {environment}: correct the path" in result.output


class TestDagster:
    def test_runs_use_the_client_of_the_resource(
        self, environment: S3Location, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = load_settings()
        there = settings.s3.model_copy(update={"endpoint_url": proxy.endpoint})
        monkeypatch.setattr(ConfiguredS3, "get_client", lambda _self: s3_client(there))
        with dg.build_resources(resources(settings)) as built:
            assert built.platform.store.location == str(environment)
            assert not proxy.requests
            assert list(built.platform.store.files.entries()) == []
            assert list(built.platform.inbox.scan()) == []
        assert proxy.requests.total() == 2

    def test_keys_are_no_fields_of_the_resource(self, environment: S3Location) -> None:
        resource = resources(load_settings())["s3"]
        assert isinstance(resource, S3Resource)
        assert SECRET_KEY not in repr(resource)

    def test_its_own_state_needs_a_place(
        self, environment: S3Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        store = open_store(load_settings())
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        with pytest.raises(ConfigurationError, match="set DAGSTER_HOME to a folder"):
            dagster_home(store)
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
        assert (dagster_home(store) / "dagster.yaml").exists()

    def test_nothing_of_s3_is_imported_without_it(self, tmp_path: Path) -> None:
        script = (
            "import sys; from mediafm_assets.definitions import defs; import mediafm_core;"
            "print([name for name in ('boto3', 'dagster_aws', 'fsspec') if name in sys.modules])"
        )
        environment = {"MEDIAFM_STORE": str(tmp_path), "MEDIAFM_INBOX": str(tmp_path)}
        output = subprocess.check_output(
            [sys.executable, "-c", script], env={**os.environ, **environment}
        )
        assert output == b"[]\n"
