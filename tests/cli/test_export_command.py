"""Output and errors of `mediafm export`."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from labelled_catalogue import TITLES, LabelledCatalogue
from small_catalogue import HIDDEN, MODEL

from mediafm_core import TrainingSet
from mediafm_core.cli.main import main


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LabelledCatalogue:
    catalogue = LabelledCatalogue(tmp_path_factory.mktemp("catalogue"))
    catalogue.filled(*TITLES)
    return catalogue


@pytest.fixture
def export(small: LabelledCatalogue, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `mediafm export ARGUMENTS` on the small catalogue."""
    monkeypatch.setenv("MEDIAFM_STORE", str(small.root))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ("export", *arguments))

    return run


def test_prints_a_summary_of_the_set(export, tmp_path: Path) -> None:
    out = tmp_path / "set.parquet"
    result = export(str(out), "--split", "train=0.8,test=0.2", "--label", "genre")
    assert result.exit_code == 0, result.output
    assert f"20 rows of 5 titles in {out}, {HIDDEN} wide ({MODEL})" in result.stdout
    assert "labels: genre (string)" in result.stdout
    assert "splits: train 16, test 4" in result.stdout
    assert len(TrainingSet.open(out).split("test")) == 4


def test_json_is_the_record(export, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("title_id,start_s,end_s,good\nalpha,1.5,30,1\nomega,0,1,0\nbeta,2,9,1\n")
    options = ("--labels", str(labels), "--skip-unknown", "--fused", "--float16", "--seed", "4")
    where = ("--where", "title_id < 'b' AND good = 1")
    result = export(str(tmp_path / "set"), *options, *where, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (record,) = TrainingSet.open(tmp_path / "set").records
    assert record.model_dump(mode="json").items() <= document.items()
    assert (document["rows"], document["left_out"], document["files"]) == (1, 1, 1)
    assert (document["element"], document["labels"]) == ("float16", {"good": "int64"})


def test_left_out_labels_are_counted(export, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("title_id,clip_id,good\nalpha,proposed-0000,1\nomega,a,0\n")
    result = export(str(tmp_path / "set"), "--labels", str(labels), "--skip-unknown")
    assert "left out, of unknown clips or titles: 1" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "train"), "write each once as train=0.8,test=0.2"),
        (("--labels", "none.csv"), "There is no file of labels none.csv"),
        (("--label", "mood"), "clips.csv has no label 'mood'"),
        (("--where", "mood = 1"), "The condition 'mood = 1' cannot be used"),
    ],
)
def test_errors_are_one_line(export, tmp_path: Path, options: tuple, message: str) -> None:
    result = export(str(tmp_path / "set"), *options)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert re.fullmatch(rf"Error: .*{re.escape(message)}.*\n", result.stderr)
    assert not (tmp_path / "set").exists()
