"""A location without a store: a misspelt path, or a disk that is not mounted."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mediafm_core.cli.main import main

_COMMANDS = [
    ["status"],
    ["status", "--titles", "a", "--json"],
    ["models"],
    ["clean"],
    ["retire", "a"],
    ["train"],
    ["release", "abc"],
    ["rollback"],
    ["sql", "FROM titles"],
    ["embed", "a", "0", "1"],
    ["similar", "a", "0", "1"],
    ["search", "a"],
    ["index"],
    ["evaluate", "--label", "a"],
]


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
@pytest.mark.parametrize("place", ["nowhere", "empty", "other"])
def test_one_sentence_and_no_file(command: list[str], place: str, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "photos").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    store = tmp_path / place
    result = CliRunner().invoke(
        main, [*command, "--store", str(store), "--inbox", str(tmp_path / "inbox")]
    )
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"There is no store in {store}: correct the path" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_creates_no_file(tmp_path: Path) -> None:
    out = tmp_path / "set.parquet"
    result = CliRunner().invoke(main, ["export", str(out), "--store", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert "There is no store in" in result.stderr
    assert list(tmp_path.iterdir()) == []
