"""Queries that try to crash the process, exhaust its memory, write, or read other files."""

import os
import resource
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from small_catalogue import SmallCatalogue

import mediafm_core
from mediafm_core.api.clip_search import similar
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.queries import allowlist, worker_pool
from mediafm_core.training_sets import export


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("catalogue"))
    catalogue.write("alpha")
    catalogue.write("beta", shots=7)
    catalogue.publish("alpha", "beta")
    return catalogue


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAFM_QUERIES__MEMORY_GIB", "0.25")
    monkeypatch.setenv("MEDIAFM_QUERIES__TIME_S", "1")


def refused(query: str, small: SmallCatalogue, parameters: object = None) -> str:
    """Run a query that must be refused; return the error message."""
    with pytest.raises(MediaFMError) as error:
        mediafm_core.sql(query, parameters, store=small.root)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert len(sentence) <= 300
    return sentence


EFFECTS = [
    "SELECT * FROM enable_logging()",
    "SELECT * FROM enable_logging(storage='file', storage_path='logs')",
    "SELECT * FROM disable_logging()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT * FROM enable_profiling()",
    "SELECT write_log('x')",
    "SELECT write_log('x', level := 'error', disable_logging := true)",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
    "SELECT nextval('x')",
    "SELECT setval('x', 1)",
    "SELECT to_aggregate_state('x'::BLOB, 'sum', 'INTEGER')",
    "SELECT index_key({'table': 'shards'}, 'x', 1)",
    "FROM create_external_resource('x')",
    "FROM add_grammar_extension('x')",
    "SELECT setseed(0.5)",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('x.parquet')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM system.main.glob('/etc/*')",
    "SELECT * FROM \"GLOB\"('/etc/*')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('titles')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM python_map_function(1)",
    "SELECT * FROM seq_scan('x')",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('HOME')",
    "SELECT finalize('x'::BLOB)",
    "SELECT __internal_decompress_string(1::UHUGEINT)",
    # in every position of a query
    "WITH a AS (FROM glob('/etc/*')) FROM a",
    "SELECT (SELECT first(file) FROM glob('/etc/*'))",
    "SELECT 1 WHERE EXISTS (FROM glob('/etc/*'))",
    "SELECT 1 UNION ALL SELECT count(*) FROM glob('/etc/*')",
    "FROM titles, LATERAL (FROM glob('/etc/*'))",
    "FROM titles SEMI JOIN glob('/etc/*') ON true",
    "SELECT sum(sleep_ms(1)) OVER (ORDER BY write_log('x')) FROM titles",
    "FROM titles ORDER BY write_log('x')",
    "FROM titles LIMIT write_log('x')",
    "SELECT list_transform([1], lambda x: write_log('x'))",
    "DESCRIBE FROM glob('/etc/*')",
    "SUMMARIZE FROM glob('/etc/*')",
    "EXPLAIN ANALYZE FROM glob('/etc/*')",
    "EXPLAIN (ANALYZE, FORMAT json) SELECT write_log('x')",
    "PIVOT (FROM glob('/etc/*')) ON file USING count(*)",
    "PIVOT (FROM \"glob\" -- (\n /* ( */ ('/etc/*')) ON file USING count(*)",
    "PIVOT (SELECT getenv /* */ ('HOME') AS a) ON a USING count(*)",
    "PIVOT (SELECT \"getenv\"('HOME') AS a) ON a USING count(*)",
    "PIVOT clips ON proposed USING count(*); FROM glob('/etc/*')",
    "SELECT 1; FROM glob('/etc/*')",
    # statements
    "CALL enable_logging()",
    "PRAGMA enable_profiling",
    "PRAGMA profiling_output = 'profile.json'",
    "SET profile_output = 'profile.json'",
    "SET VARIABLE x = 1",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN; ROLLBACK",
    "USE memory",
    "PREPARE x AS SELECT 1",
    "EXPORT DATABASE 'copy'",
    "IMPORT DATABASE 'copy'",
    "COPY (SELECT 1) TO 'x.csv'",
    "COPY titles FROM 'x.csv'",
    "CREATE SECRET (TYPE s3)",
    "CREATE MACRO f(x) AS x",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE TYPE mood AS ENUM ('a')",
    "FROM '/etc/passwd'",
    "FROM 'https://localhost/x.parquet'",
]


PIVOT = "PIVOT clips ON proposed USING count(*)"


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (COPY titles TO 'x.csv') FROM a",
        "WITH a AS (COPY (SELECT 1) TO 'x.parquet') SELECT 1",
        "WITH a AS (INSERT INTO catalogue VALUES ('x', 1, 1, 1) RETURNING *) FROM a",
        "WITH a AS (UPDATE titles SET name = 'x' RETURNING *) FROM a",
        "WITH a AS (DELETE FROM catalogue RETURNING *) FROM a",
        "WITH a AS (TRUNCATE catalogue) SELECT 1",
        "SELECT (WITH a AS (COPY titles TO 'x.csv') SELECT count(*) FROM a)",
        "EXPLAIN ANALYZE WITH a AS (COPY titles TO 'x.csv') FROM a",
        "DESCRIBE WITH a AS (COPY titles TO 'x.csv') FROM a",
        f"WITH a AS (COPY titles TO 'x.csv'), b AS ({PIVOT}) FROM a, b",
        f"WITH a AS (COPY titles TO 'x.csv') FROM a; {PIVOT}",
        f"COPY ({PIVOT}) TO 'x.csv'",
        f"CREATE TEMP TABLE x AS {PIVOT}",
        f"CREATE TEMP TABLE x AS {PIVOT};",
        f"INSERT INTO catalogue {PIVOT}",
        f"WITH a AS ({PIVOT}) INSERT INTO catalogue FROM a",
        f"PREPARE x AS {PIVOT}",
        f"{PIVOT}; CREATE TEMP TABLE x AS {PIVOT}",
        f"/* */ CREATE -- (\n TEMP TABLE x AS {PIVOT}",
    ],
)
def test_what_writes_is_no_query(query: str, small: SmallCatalogue) -> None:
    """DuckDB counts the first ones as SELECT, and all that hold a PIVOT as one kind."""
    before = {file: file.read_bytes() for file in small.root.rglob("*") if file.is_file()}
    assert refused(query, small).startswith("The query must read")
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("query", EFFECTS)
def test_queries_with_side_effects_are_refused(
    query: str, small: SmallCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = small.store.features.read_bytes()
    refused(query, small)
    assert not list(tmp_path.iterdir())
    assert small.store.features.read_bytes() == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT repeat('x', 3000000000)",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT printf('%2000000000d', 1)",
        "SELECT list(a) FROM range(1000000000) t(a)",
        "SELECT * FROM range(100000000000)",
        "SELECT count(*) FROM range(100000000) a, range(100000000) b",
        "WITH RECURSIVE t AS (SELECT 'x' a UNION ALL SELECT a || a FROM t) SELECT count(*) FROM t",
        "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))",
        "SELECT list_reduce(range(40), lambda a, b: a || a, 'x')",
    ],
)
def test_a_query_that_exceeds_its_limits_only_fails_itself(
    query: str, small: SmallCatalogue, limited: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = refused(query, small)
    assert any(word in sentence for word in ("longer than 1 s", "memory", "Memory", "cannot run"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    monkeypatch.delenv("MEDIAFM_QUERIES__TIME_S")
    assert mediafm_core.sql("SELECT 1 AS one", store=small.root)["one"].to_pylist() == [1]


@pytest.mark.parametrize(
    "nested",
    ["({})", "[{}]", "NOT {}", "(SELECT {})", "CASE WHEN true THEN {} END", "-{}", "{} + 1"],
)
@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_deep_nesting_is_refused(nested: str, depth: int, small: SmallCatalogue) -> None:
    opening, closing = nested.split("{}")
    refused(f"SELECT {opening * depth}x{closing * depth}", small)


def test_a_query_of_many_megabytes_is_refused(small: SmallCatalogue) -> None:
    assert "characters" in refused(f"SELECT '{'x' * allowlist.LONGEST}'", small)


@pytest.mark.parametrize(
    "where",
    [
        "true) UNION ALL SELECT 1, 1 WHERE (true",
        "(SELECT count(*) FROM glob('/etc/*')) > 0",
        "write_log('x') IS NULL",
        "true; SELECT 1",
        "nonsense",
        "levenshtein(repeat('a', 100000), repeat('b', 100000)) > 0",
        f"name = '{'x' * 2000}' AND nonsense",
    ],
)
def test_conditions_have_the_same_limits(
    where: str, small: SmallCatalogue, limited: None, tmp_path: Path
) -> None:
    labels = pa.table({"title_id": ["alpha"], "start_s": [0.0], "end_s": [1.0], "mood": ["calm"]})
    with pytest.raises(MediaFMError) as error:
        similar("alpha", 0.0, 1.0, where=where, store=small.root)
    assert len(str(error.value)) <= 300
    with pytest.raises(MediaFMError) as error:
        export(tmp_path / "set.parquet", labels=labels, where=where, store=small.root)
    assert len(str(error.value)) <= 300
    assert not (tmp_path / "set.parquet").exists()


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE t AS (SELECT 1 a UNION ALL SELECT a + 1 FROM t WHERE a < 5) FROM t",
        "SELECT title_id, row_number() OVER (PARTITION BY title_id ORDER BY start_s) FROM shots",
        "SELECT array_cosine_similarity(a.embedding, b.embedding) FROM shots a, shots b",
        "SELECT list_cosine_similarity(embedding::FLOAT[], embedding::FLOAT[]) FROM shots",
        "SELECT list_transform(range(3), lambda x: x * 2), [x + 1 FOR x IN [1, 2]]",
        "SELECT regexp_extract(name, '[a-z]+'), upper(name), name.lower(), name || 'x' FROM titles",
        "SELECT date_trunc('month', TIMESTAMP '2026-11-26'), age(DATE '2026-01-01'), now()",
        "SELECT string_agg(title_id, ', '), approx_quantile(duration_s, 0.5) FROM titles",
        "SELECT histogram(shots), quantile_cont(duration_s, [0.1, 0.9]) FROM titles",
        "SELECT unnest(range(3)), random(), uuid(), hash(1), md5('x'), json_extract('{}', '$.a')",
        "SELECT count(*) FILTER (WHERE proposed), max_by(clip_id, end_s) FROM clips",
        "FROM range(5) a, generate_series(1, 2) b, unnest([1, 2]) c",
        "SELECT clips.* EXCLUDE (labels), COLUMNS('.*_s') FROM clips ASOF JOIN shots "
        "USING (title_id, start_s)",
        "FROM clips TABLESAMPLE 50%",
        "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
        f"{PIVOT};",
        f"WITH a AS ({PIVOT} GROUP BY title_id) SELECT * FROM a ORDER BY title_id -- (",
        f"FROM ({PIVOT}), (SELECT 'COPY' AS \"copy\", row_number() OVER () AS place)",
        "WITH RECURSIVE a AS (SELECT 1 b UNION SELECT b + 1 FROM a WHERE b < 3) FROM a EXCEPT "
        "(FROM a LIMIT 1)",
        "SELECT lag(start_s) OVER title, first_value(end_s) OVER title FROM shots "
        "WINDOW title AS (PARTITION BY title_id ORDER BY start_s)",
        "SUMMARIZE titles",
        "FROM information_schema.tables",
        "FROM duckdb_columns()",
        "FROM pragma_table_info('titles')",
        "SELECT struct_pack(a := 1).a, map([1], [2])[1], CAST('1' AS INTEGER), 5::DECIMAL(4, 1)",
        "SELECT 1 ORDER BY 1 LIMIT 1 OFFSET 0",
        "SELECT 'glob(' AS text, 1 AS \"write_log\"",
    ],
)
def test_ordinary_sql_works(query: str, small: SmallCatalogue) -> None:
    assert mediafm_core.sql(query, store=small.root).num_columns


def test_every_function_with_side_effects_is_listed() -> None:
    """Fail with a DuckDB that has new ones: review them, and list the harmless ones."""
    with duckdb.connect() as connection:
        marked = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE has_side_effects"
        ).fetchall()
        tables = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE function_type IN ('table', 'table_macro', 'pragma')"
        ).fetchall()
    refused = {"currval", "nextval", "setseed", "setval", "sleep_ms", "stats", "write_log"}
    assert {name for (name,) in marked} == allowlist._HARMLESS | refused
    assert {name for (name,) in tables} >= allowlist._TABLE_FUNCTIONS - {"generate_subscripts"}


def test_parameters_of_all_kinds_are_passed_on(small: SmallCatalogue) -> None:
    import datetime
    import decimal

    values = [
        *(1, -(2**62), 1.5, True, None, "it's", b"\0x", [1.0, 2.0], ["a", None], {"a": 1}),
        *(decimal.Decimal("1.25"), datetime.date(2026, 1, 2)),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 678),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    ]
    for value in values:
        (positional,) = mediafm_core.sql("SELECT ? AS v", [value], store=small.root)["v"]
        (named,) = mediafm_core.sql("SELECT $v AS v", {"v": value}, store=small.root)["v"]
        assert positional.as_py() == named.as_py() == value
    assert "parameter 0" in refused("SELECT ?", small, [object()])


def test_a_worker_that_has_ended_is_replaced(small: SmallCatalogue) -> None:
    mediafm_core.sql("SELECT 1", store=small.root)
    (child,) = worker_pool._idle[-1:]
    os.kill(child._process.pid, 11)  # its end may only be noticed when the next query is sent
    assert mediafm_core.sql("SELECT 1 AS one", store=small.root)["one"].to_pylist() == [1]


def test_a_missing_catalogue_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        mediafm_core.sql("SELECT 1", store=tmp_path)


def test_children_end_with_the_process(small: SmallCatalogue) -> None:
    import subprocess
    import sys

    import psutil

    code = (
        "import os, signal, sys, mediafm_core; from mediafm_core.queries import worker_pool; "
        f"mediafm_core.sql('SELECT 1', store={str(small.root)!r}); "
        "print(worker_pool._idle[0]._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    started = time.monotonic()
    while psutil.pid_exists(int(said)):
        assert time.monotonic() - started < 60
        time.sleep(0.02)
