"""The pages on training sets: their commands and code run, their columns and fields exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from labelled_catalogue import LabelledCatalogue

from mediafm_core import TrainingSet
from mediafm_core.cli.main import main
from mediafm_core.training_sets.footer import OWN_COLUMNS, SetRecord

REPOSITORY = Path(__file__).parents[2]
GUIDE = "docs/how-to/training_sets.md"
DOCUMENT = (REPOSITORY / GUIDE).read_text(encoding="utf-8")
REFERENCE = (REPOSITORY / "docs" / "reference" / "training_sets.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the document's commands have run, one after the other."""
    folder = tmp_path_factory.mktemp("document")
    small = LabelledCatalogue(folder / "store")
    small.filled("sintel", "big_buck_bunny", "elephants_dream", "tears_of_steel")
    (labels,) = blocks("csv")
    (folder / "moods.csv").write_text(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDIAFM_STORE", str(folder / "store"))
        patch.chdir(folder)
        calls = re.findall(r"^    mediafm (.*)$", DOCUMENT, re.MULTILINE)
        assert len(calls) == 3
        for call in calls:
            result = CliRunner().invoke(main, shlex.split(call))
            assert result.exit_code == 0, result.output
    return folder


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_code_runs(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, GUIDE, "exec"), names)
    assert names["train"].split_names == ["train", "test"]
    assert names["targets"].shape == names["vectors"].shape[:1]


def test_the_commands_write_the_described_sets(written: Path) -> None:
    moods = TrainingSet.open(written / "moods.parquet")
    assert moods.labels("mood").tolist() == ["comic", "calm", "chase"]
    assert moods.to_arrow()["clip_id"].null_count == 3
    assert TrainingSet.open(written / "mild.parquet").labels("tension").tolist() == [0.3, 0.1]


def test_the_example_runs(written: Path) -> None:
    (call,) = re.findall(r"^    python (\S+ .*)$", DOCUMENT, re.MULTILINE)
    script, *arguments = shlex.split(call)
    result = subprocess.run(
        [sys.executable, REPOSITORY / script, *arguments],
        cwd=written,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"accuracy on held-out titles: [01]\.\d{3}\n", result.stdout)


def test_every_column_and_field_is_described(written: Path) -> None:
    assert set(OWN_COLUMNS) <= set(re.findall(r"`(\w+)`", REFERENCE))
    for field in SetRecord.model_fields:
        assert re.search(rf"^\|[^|]*`{field}`", REFERENCE, re.MULTILINE), field
    schema = pq.read_schema(written / "genres.parquet")
    for name in ("title_id", "clip_id", "start_s", "proposed", "split"):
        row = re.search(rf"^\| `{name}`.*? \| `(\w+)` ", REFERENCE, re.MULTILINE)
        assert row is not None
        assert row[1] == str(schema.field(name).type)
