"""A read-only store: reading works, and writing fails with one sentence."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from read_only import read_only
from small_catalogue import SmallCatalogue

from mediafm_assets.sensors.single_daemon import reason_to_stand_by
from mediafm_core.api.clip_search import build_index
from mediafm_core.cli.main import main
from mediafm_core.errors import ConfigurationError


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallCatalogue]:
    root = tmp_path_factory.mktemp("read_only")
    (root / "inbox").mkdir()
    small = SmallCatalogue(root / "store").filled("alpha", "beta")
    with read_only(small.root):
        yield small


def mediafm(small: SmallCatalogue, *arguments: str) -> Result:
    inbox = small.root.parent / "inbox"
    return CliRunner().invoke(main, [*arguments, "--store", str(small.root), "--inbox", str(inbox)])


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["models"],
        ["sql", "FROM titles"],
        ["similar", "alpha", "0", "10"],
        ["search", "says", "--by", "words"],
        ["embed", "alpha", "0", "10"],
    ],
    ids=" ".join,
)
def test_reading_commands_work(small: SmallCatalogue, command: list[str]) -> None:
    result = mediafm(small, *command)
    assert result.exit_code == 0, result.output
    assert result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["clean"],
        ["retire", "gone"],
        ["index"],
        ["run"],
        ["run", "--titles", "alpha", "--retry"],
        ["train"],
        ["train", "--release"],
        ["release", "aaaa"],
        ["rollback"],
        ["ui"],
    ],
    ids=" ".join,
)
def test_writing_commands_fail_with_one_sentence(small: SmallCatalogue, command: list[str]) -> None:
    result = mediafm(small, *command)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    error = result.stderr.strip()
    assert error.startswith(f"Error: {small.root}")
    assert "cannot be written (Read-only file system): " in error
    assert "\n" not in error


def test_functions_raise_the_same_error(small: SmallCatalogue) -> None:
    with pytest.raises(ConfigurationError, match=f"{small.root} cannot be written"):
        build_index(small.root)


def test_sensors_skip(small: SmallCatalogue) -> None:
    assert reason_to_stand_by(small.store) == (
        f"The store {small.root} cannot be written (Read-only file system): make it writable."
    )
