"""Findings of `mediafm doctor`, with remedies and without secrets."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_catalogue import SmallCatalogue
from trained_store import TrainedStore

from mediafm_core.cli.diagnostics import DiagnosticFinding, examine, settings_in_force
from mediafm_core.cli.main import main
from mediafm_core.config.settings import load_settings


def findings(**settings: object) -> dict[str, list[DiagnosticFinding]]:
    found: dict[str, list[DiagnosticFinding]] = {}
    for finding in examine(load_settings(**settings)):
        found.setdefault(finding.check, []).append(finding)
    return found


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "complete").mkdir(parents=True)
    (folder / "complete" / "title.json").write_text("{}")
    return folder


def test_healthy_machine(tmp_path: Path, inbox: Path) -> None:
    small = SmallCatalogue(tmp_path / "store").filled("alpha")
    found = findings(store=small.root, inbox=inbox)
    errors = [finding for group in found.values() for finding in group if finding.level == "error"]
    assert errors == []
    assert found["shots"][0].message.startswith("shots are detected by transnetv2-")
    assert found["isolation"][0].message.startswith("media is read in processes with limits")
    parts = [finding.message.split(":")[0] for finding in found["encoders"]]
    assert parts == ["video", "audio", "text"]
    assert found["inbox"][0].message.endswith("1 titles complete")
    assert "1 titles of mediafm-1@" in found["features"][0].message


def test_a_missing_setting_is_an_error_with_a_remedy_and_stops_no_other_check() -> None:
    found = findings()
    assert found["store"][0] == DiagnosticFinding(
        "store", "error", "No store: pass --store DIR or set MEDIAFM_STORE."
    )
    assert found["inbox"][0].level == "error"
    assert found["decoders"][0].level == "ok"


def test_titles_that_wait_for_their_manifest_are_counted(tmp_path: Path, inbox: Path) -> None:
    (inbox / "arriving").mkdir()
    (finding,) = findings(store=tmp_path / "store", inbox=inbox)["inbox"]
    assert finding.level == "warning"
    assert "1 titles complete, 1 waiting" in finding.message


def test_store_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    place = tmp_path / "locked"
    place.mkdir(mode=0o500)
    if os.access(place, os.W_OK):
        place = Path("/proc/self")  # even the superuser cannot write here
    (finding,) = findings(store=place / "store")["store"]
    assert finding.level == "error"
    assert str(place) in finding.message


def test_released_model_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text('{"model": "mediafm-1@cccccccccccccccc"}')
    (finding,) = findings(store=tmp_path)["model"]
    assert finding.level == "error"
    assert "mediafm-1@cccccccccccccccc is not in" in finding.message


def test_a_named_first_model_is_compared_with_the_encoders(trained_store: TrainedStore) -> None:
    name = trained_store.models[0]
    named = {"store": trained_store.root, "serving_model": trained_store.folder(name)}
    (finding,) = findings(**named)["model"]
    assert finding == DiagnosticFinding(
        "model", "ok", f"{name} is released by the next run: serving_model names it"
    )
    other = trained_store.with_another_configuration(global_size=6)
    (finding,) = findings(**{**named, "serving_model": trained_store.folder(other)})["model"]
    assert finding.level == "error"
    assert "is not compatible with the encoders of the settings" in finding.message


def test_unknown_device(tmp_path: Path) -> None:
    (finding,) = findings(store=tmp_path, device="abacus")["device"]
    assert finding.level == "error"
    assert "abacus" in finding.message


def test_profile_with_missing_weights_has_a_remedy(tmp_path: Path) -> None:
    found = findings(
        store=tmp_path,
        profile="mediafm",
        video={"model": str(tmp_path / "none")},
        audio={"model": str(tmp_path / "none")},
    )
    levels = {finding.message.split(":")[0]: finding.level for finding in found["encoders"]}
    assert (levels["video"], levels["audio"]) == ("error", "error")


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAFM_TEXT__API_KEY", "sk-sesame")
    monkeypatch.setenv("MEDIAFM_S3__ACCESS_KEY_ID", "ak-sesame")
    monkeypatch.setenv("MEDIAFM_S3__SECRET_ACCESS_KEY", "as-sesame")
    in_force = settings_in_force(load_settings())
    assert in_force["text.api_key"]
    assert "sesame" not in json.dumps(in_force)
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert "sk-very" not in result.output


def test_command_exits_with_1_if_something_must_be_fixed(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["doctor", "--json", "--store", str(tmp_path), "--inbox", str(tmp_path / "none")]
    )
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert {"check", "level", "message"} == document["checks"][0].keys()
    assert document["settings"]["profile"] == "embedded"
