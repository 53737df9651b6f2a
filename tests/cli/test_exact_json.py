"""`sql --json` loses no digit of the values that DuckDB computes."""

import json
from decimal import Decimal

import pytest
from click.testing import CliRunner, Result
from small_catalogue import SmallCatalogue

from mediafm_core.cli.json_text import json_text
from mediafm_core.cli.main import main


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    return SmallCatalogue(tmp_path_factory.mktemp("catalogue")).filled("alpha")


def sql(small: SmallCatalogue, query: str) -> Result:
    return CliRunner().invoke(main, ["sql", "--json", query, "--store", str(small.root)])


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("sum(range) FROM range(3)", "3"),
        ("sum(9007199254740993::BIGINT)", "9007199254740993"),
        ("170141183460469231731687303715884105727::HUGEINT", str(2**127 - 1)),
        ("18446744073709551615::UBIGINT", str(2**64 - 1)),
        ("12345678901234567890123.456789::DECIMAL(38,6)", "12345678901234567890123.456789"),
        ("sum(1.10::DECIMAL(5,2))", "1.10"),
        ("-0.001::DECIMAL(5,3)", "-0.001"),
        ("[1::HUGEINT, NULL]", "[1, null]"),
        ("{'a': 0.10::DECIMAL(5,2), 'b': [1]}", '{"a": 0.10, "b": [1]}'),
        ("MAP {'a': 9007199254740993::HUGEINT}", '{"a": 9007199254740993}'),
        ("MAP {DATE '2026-02-23': 1}", '{"2026-02-23": 1}'),
        ("MAP {1.50::DECIMAL(3,2): true}", '{"1.50": true}'),
        ("TIMESTAMPTZ '2026-02-23 10:00:00+02'", '"2026-02-23T08:00:00+00:00"'),
        ("TIMESTAMP_NS '2026-02-23 10:00:00.123456789'", '"2026-02-23T10:00:00.123456789"'),
        ("TIME '10:00:00.5'", '"10:00:00.500000"'),
        ("INTERVAL '1 month 2 days 90.000003 seconds'", '"P1M2DT90.000003S"'),
        ("INTERVAL 0 DAYS", '"PT0S"'),
        ("INTERVAL '-2 days'", '"P-2D"'),
        ("'ab'::BLOB", '"6162"'),
        (
            "'6194990e-2828-4dea-b683-985b52ee827f'::UUID",
            '"6194990e-2828-4dea-b683-985b52ee827f"',
        ),
        ("'nan'::DOUBLE", "null"),
        ("1e300::DOUBLE", "1e+300"),
        ("0.1::DOUBLE", "0.1"),
        ("[1.0, 2.5]::FLOAT[2]", "[1.0, 2.5]"),
        ("'a'::ENUM('a', 'BIT')", '"a"'),
        # Before DuckDB 2, fields of a row had no names, so that only one survived.
        ("row(1, 2)", '{"element1": 1, "element2": 2}'),
        ("NULL", "null"),
    ],
)
def test_values(small: SmallCatalogue, expression: str, text: str) -> None:
    before, _, after = expression.partition(" FROM ")
    result = sql(small, f"SELECT {before} AS v" + (f" FROM {after}" if after else ""))
    assert result.exit_code == 0, result.output
    assert result.stdout == f'[\n{{"v": {text}}}\n]\n'
    json.loads(result.stdout, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "expression",
    [
        "md5_number('x')",
        "[1::UHUGEINT]",
        "'123456789012345678901234567890123456789012'::BIGNUM",
        "'101'::BIT",
        "TIMETZ '10:00:00+02'",
        "DATE 'infinity'",
        "TIMESTAMP '290000-01-01'",
        "DATE '0044-03-15 (BC)'",
    ],
)
def test_a_value_that_would_be_changed_is_refused(small: SmallCatalogue, expression: str) -> None:
    result = sql(small, f"SELECT {expression} AS v")
    assert result.exit_code == 1
    assert "::VARCHAR" in result.stderr
    assert result.stderr.count("\n") == 1
    assert sql(small, f"SELECT ({expression})::VARCHAR AS v").exit_code == 0


def test_text_cannot_control_the_terminal() -> None:
    text = "a\x1b[31m\x9bb\u202ec\u2028\n\x7f é"
    assert json.loads(json_text(text)) == text
    assert json_text({text: text}).isprintable()


def test_lines_are_indented_as_usual() -> None:
    value = {"a": [1, {"b": []}, "x"], "c": {}, "d": 1.5}
    assert json_text(value, indent=2) == json.dumps(value, indent=2)
    assert json_text({"n": Decimal("1.10")}, indent=2) == '{\n  "n": 1.10\n}'
