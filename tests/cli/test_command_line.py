"""Output, output stream and exit code of the commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from small_catalogue import HIDDEN, MODEL, SmallCatalogue, save_tiny_model

from mediafm_core.cli.main import main
from mediafm_core.cli.options import Seconds, catalogue_options


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    return SmallCatalogue(tmp_path_factory.mktemp("catalogue")).filled("alpha", "beta")


@pytest.fixture
def mediafm(small: SmallCatalogue, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `mediafm ARGUMENTS` on the small catalogue."""
    monkeypatch.setenv("MEDIAFM_STORE", str(small.root))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


class TestSql:
    def test_json_is_a_list_of_row_objects(self, mediafm) -> None:
        result = mediafm(
            "sql", "SELECT title_id, tags, duration_s FROM titles ORDER BY title_id", "--json"
        )
        assert result.exit_code == 0
        assert json.loads(result.stdout) == [
            {"title_id": "alpha", "tags": ["a", "b'c"], "duration_s": 150.0},
            {"title_id": "beta", "tags": ["a", "b'c"], "duration_s": 150.0},
        ]

    def test_json_of_every_kind_of_value(self, mediafm) -> None:
        result = mediafm(
            "sql",
            "--json",
            "SELECT DATE '2026-02-23' AS day, TIMESTAMP '2026-02-23 10:00:00' AS moment, "
            "INTERVAL 90 SECONDS AS span, 'nan'::DOUBLE AS nothing, NULL AS nil, 1.5::DECIMAL(4,1) "
            "AS price, [1.0, 2.0]::FLOAT[2] AS vector, MAP {'genre': 'drama'} AS labels, "
            "'ab'::BLOB AS bytes, {'x': 1} AS pair, 'é\n\"' AS text, 'Infinity'::FLOAT AS endless, "
            "170141183460469231731687303715884105727::HUGEINT AS huge",
        )
        assert result.exit_code == 0, result.output
        (row,) = json.loads(result.stdout, parse_constant=pytest.fail)
        assert row["day"] == "2026-02-23"
        assert row["moment"] == "2026-02-23T10:00:00"
        assert (row["nothing"], row["nil"], row["endless"]) == (None, None, None)
        assert row["price"] == 1.5
        assert row["vector"] == [1.0, 2.0]
        assert row["span"] == "PT90S"
        assert row["huge"] == 170141183460469231731687303715884105727
        assert row["labels"] == {"genre": "drama"}
        assert row["bytes"] == "6162"
        assert row["pair"] == {"x": 1}
        assert row["text"] == 'é\n"'

    def test_no_rows(self, mediafm) -> None:
        query = "SELECT * FROM titles WHERE title_id = 'none'"
        assert json.loads(mediafm("sql", query, "--json").stdout) == []
        assert "0 rows" in mediafm("sql", query).stdout

    def test_columns_of_one_name_are_all_there(self, mediafm) -> None:
        result = mediafm("sql", "SELECT 1 AS a, 2 AS a, 3 AS b", "--json")
        assert json.loads(result.stdout) == [{"a": 1, "a_1": 2, "b": 3}]
        assert mediafm("sql", "SELECT 1 AS a, 2 AS a").exit_code == 0

    def test_table_shortens_vectors_and_prints_text_literally(self, mediafm) -> None:
        result = mediafm("sql", "SELECT '[bold]x :smile:' AS text, embedding FROM shots LIMIT 1")
        assert result.exit_code == 0
        assert "[bold]x :smile:" in result.stdout
        assert f"{HIDDEN} values]" in result.stdout
        assert "1 row\n" in result.stdout

    @pytest.mark.parametrize("query", ["SELECT nonsense", "DROP TABLE clips", "not sql at all"])
    def test_error_is_one_line_and_exit_code_1(self, mediafm, query: str) -> None:
        result = mediafm("sql", query, "--json")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert re.fullmatch(r"Error: The query .*\n", result.stderr)


class TestSimilar:
    def test_json(self, mediafm) -> None:
        result = mediafm("similar", "alpha", "0:10", "0:00:40.5", "-k", "3", "--json")
        rows = json.loads(result.stdout)
        assert [row["rank"] for row in rows] == [1, 2, 3]
        assert rows[0].keys() == {
            *("rank", "title_id", "clip_id", "start_s", "end_s", "proposed", "similarity")
        }

    def test_table(self, mediafm) -> None:
        result = mediafm("similar", "alpha", "0", "30")
        assert result.exit_code == 0
        assert "similarity" in result.stdout

    def test_can_leave_out_the_spans_own_clips(self, mediafm) -> None:
        result = mediafm("similar", "alpha", "0", "150", "--exclude-overlapping", "--json")
        assert {row["title_id"] for row in json.loads(result.stdout)} == {"beta"}

    def test_unknown_title_is_one_line(self, mediafm) -> None:
        result = mediafm("similar", "alpa", "0", "30")
        assert result.exit_code == 1
        assert result.stderr == "Error: There is no title 'alpa': did you mean alpha?\n"


class TestEmbed:
    def test_json(self, mediafm) -> None:
        result = mediafm("embed", "alpha", "7.5", "15", "--json")
        document = json.loads(result.stdout)
        embedding = document.pop("embedding")
        assert len(embedding) == HIDDEN
        assert all(isinstance(value, float) for value in embedding)
        assert document == {
            "title_id": "alpha",
            "start_s": 7.5,
            "end_s": 15.0,
            "mode": "in_context",
            "model": MODEL,
        }

    def test_summary(self, mediafm) -> None:
        result = mediafm("embed", "alpha", "7.5", "15")
        assert f"{HIDDEN} values, length 1.0000" in result.stdout

    @pytest.mark.parametrize("way", ["--alone", "--prefix"])
    def test_without_the_model_is_one_line(self, mediafm, way: str) -> None:
        result = mediafm("embed", "alpha", "7.5", "15", way)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1

    def test_prefix_is_recorded_as_the_mode(self, mediafm, tmp_path: Path) -> None:
        catalogue = SmallCatalogue(tmp_path)
        model = save_tiny_model(catalogue)
        catalogue.write("alpha", model)
        catalogue.publish("alpha", model=model)
        command = ("embed", "alpha", "7.5", "15", "--store", str(tmp_path))
        result = mediafm(*command, "--prefix", "--look-back", "4", "--json")
        document = json.loads(result.stdout)
        assert (document["mode"], document["model"]) == ("prefix", model)
        assert len(document["embedding"]) == HIDDEN
        assert "prefix" in mediafm(*command, "--prefix").stdout
        result = mediafm(*command, "--prefix", "--look-back", "0")
        assert re.fullmatch(r"Error: The look-back is 0 shots: .*\n", result.stderr)

    def test_alone_and_prefix_exclude_each_other(self, mediafm) -> None:
        result = mediafm("embed", "alpha", "7.5", "15", "--alone", "--prefix")
        assert result.exit_code == 1
        assert re.fullmatch(r"Error: .* not both: .*\n", result.stderr)
        result = mediafm("embed", "alpha", "7.5", "15", "--look-back", "3")
        assert re.fullmatch(r"Error: The look-back of 3 is for a prefix.*\n", result.stderr)


class TestStatus:
    def test_json_has_the_titles_of_the_inbox(self, mediafm, tmp_path: Path) -> None:
        (tmp_path / "arriving").mkdir()
        result = mediafm("status", "--inbox", str(tmp_path), "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        titles = {title["title_id"]: title for title in document["titles"]}
        assert {name: title["state"] for name, title in titles.items()} == {
            "alpha": "orphaned",
            "arriving": "waiting",
            "beta": "orphaned",
        }
        title = titles["arriving"]
        assert title.keys() == {"title_id", "state", "reason", "assets"}
        assert "title.json" in title["reason"]
        assert title["assets"]["clip_features"] == "missing"
        assert document["readers"] == {"model": MODEL, "titles": 2}
        assert document["refresh"] is None
        shots = [row for row in document["coverage"] if row["asset"] == "shots"]
        assert sum(row["titles"] for row in shots) == 2

    def test_table_gives_the_reasons_below(self, mediafm, tmp_path: Path) -> None:
        (tmp_path / "arriving").mkdir()
        result = mediafm("status", "--inbox", str(tmp_path))
        assert "waiting" in result.stdout
        assert "arriving: arriving has no title.json yet" in result.stdout

    def test_empty_inbox(self, mediafm, tmp_path: Path) -> None:
        shown = mediafm("status", "--inbox", str(tmp_path)).stdout
        assert shown.startswith("No title folder in")
        assert "alpha: Its folder is gone from the inbox" in shown
        assert shown.endswith(f"Readers see 2 titles under {MODEL}.\n")

    def test_a_large_catalogue_is_summarised(self, mediafm, tmp_path: Path) -> None:
        for number in range(50):
            (tmp_path / f"title_{number}").mkdir()
            (tmp_path / f"title_{number}" / "title.json").write_text("{}")
        (tmp_path / "arriving").mkdir()
        shown = mediafm("status", "--inbox", str(tmp_path)).stdout
        assert re.search(r"53 titles +50 +1 +2\b", shown)
        assert re.search(r"shots +51 +2\b", shown)
        problems = re.findall(r"^(\w+): (?:missing|waiting|orphaned)\. .", shown, re.MULTILINE)
        assert problems[:3] == ["alpha", "beta", "arriving"]
        assert len(problems) == 20
        assert "... and 33 more" in shown
        assert "0 of 50 titles up to date, none finished recently." in shown
        every = mediafm("status", "--inbox", str(tmp_path), "--all").stdout
        assert "title_49: Not computed yet: everything." in every
        assert (
            len(json.loads(mediafm("status", "--inbox", str(tmp_path), "--json").stdout)["titles"])
            == 53
        )

    def test_titles_by_name(self, mediafm, tmp_path: Path) -> None:
        (tmp_path / "arriving").mkdir()
        command = ("status", "--inbox", str(tmp_path), "--titles")
        result = mediafm(*command, "arriving, beta", "--json")
        found = [(each["title_id"], each["state"]) for each in json.loads(result.stdout)["titles"]]
        assert found == [("arriving", "waiting"), ("beta", "orphaned")]
        assert "alpha: Its folder is gone" in mediafm(*command, "alpha").stdout
        result = mediafm(*command, "nobody")
        assert result.exit_code == 1
        assert re.fullmatch(
            r"Error: Neither the inbox nor the store .* 'nobody': .*\n", result.stderr
        )


class TestGroup:
    def test_help_lists_every_command_and_loads_no_network(self) -> None:
        code = (
            "import sys; from mediafm_core.cli.main import main\n"
            "main(['--help'], standalone_mode=False)\n"
            "print('torch' in sys.modules, file=sys.stderr)"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert result.stderr.endswith("False\n")
        commands = {
            "doctor",
            "embed",
            "index",
            "run",
            "search",
            "similar",
            "sql",
            "status",
            "train",
            "ui",
        }
        assert commands <= {line.split()[0] for line in result.stdout.splitlines() if line.strip()}

    def test_options_override_the_environment(self, mediafm, tmp_path: Path) -> None:
        result = mediafm("sql", "SELECT 1", "--store", str(tmp_path / "other"))
        assert result.exit_code == 1
        assert str(tmp_path / "other") in result.stderr

    def test_a_missing_store_has_a_remedy(self, mediafm, monkeypatch) -> None:
        monkeypatch.delenv("MEDIAFM_STORE")
        result = mediafm("sql", "SELECT 1")
        assert result.stderr == "Error: No store: pass --store DIR or set MEDIAFM_STORE.\n"

    def test_debug_prints_the_traceback_of_an_error(self, mediafm, monkeypatch) -> None:
        assert mediafm("--debug", "sql", "SELECT nonsense").exc_info[0].__name__ == "MediaFMError"
        monkeypatch.setenv("MEDIAFM_DEBUG", "1")
        assert mediafm("sql", "SELECT nonsense").exc_info[0].__name__ == "MediaFMError"
        monkeypatch.setenv("MEDIAFM_DEBUG", "0")
        assert mediafm("sql", "SELECT nonsense").exit_code == 1

    def test_wrong_setting_is_one_line(self, mediafm, monkeypatch) -> None:
        monkeypatch.setenv("MEDIAFM_TRAINING__STEPS", "many")
        result = mediafm("sql", "SELECT 1")
        assert result.exit_code == 1
        assert re.fullmatch(r"Error: Setting 'training.steps' cannot be used: .*\n", result.stderr)

    def test_other_packages_get_the_settings_by_the_same_options(self, tmp_path: Path) -> None:
        @click.command()
        @click.option("--more", default=1)
        @catalogue_options
        def command(settings, more: int) -> None:
            click.echo(f"{settings.store} {settings.inbox} {more}")

        result = CliRunner().invoke(command, ["--store", str(tmp_path), "--more", "2"])
        assert result.stdout == f"{tmp_path} None 2\n"


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("61.5", 61.5),
        ("1:01.5", 61.5),
        ("0:01:01.5", 61.5),
        ("1:00:00", 3600.0),
        ("90:00", 5400.0),
        ("1e2", 100.0),
    ],
)
def test_times(typed: str, seconds: float) -> None:
    assert Seconds().convert(typed, None, None) == seconds


@pytest.mark.parametrize("typed", ["", "soon", "1:2:3:4", "1:"])
def test_an_invalid_time(typed: str) -> None:
    with pytest.raises(click.BadParameter):
        Seconds().convert(typed, None, None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["😀" * 4000],
        ["--" + "x" * 4000],
        ["embed", "film", "y" * 4000, "1"],
        ["similar", "film", "0", "1", "-k", "z" * 4000],
        ["models", "a", "b" * 4000],
        ["retire", "1" * 400],
        ["retire", "a\ud800"],
    ],
    ids=lambda arguments: arguments[0][:8],
)
def test_a_refusal_of_a_long_argument_is_short(arguments: list[str], tmp_path: Path) -> None:
    store = ["--store", str(tmp_path)] if "retire" in arguments else []
    (tmp_path / "title").mkdir()
    (tmp_path / "inbox").mkdir()
    inbox = ["--inbox", str(tmp_path / "inbox")] if store else []
    result = CliRunner().invoke(main, [*arguments, *store, *inbox])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    assert len(result.stderr.splitlines()[-1].removeprefix("Error: ")) <= 300
