"""Seals: every flipped bit is noticed, and files without a seal are read as before."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bits import flip_at, remove_seal

from mediafm_core.disk.sealed_parquet import (
    check_parquet,
    check_unsealed,
    decoding,
    open_parquet,
    write_parquet,
)
from mediafm_core.disk.seals import (
    SealError,
    check_file,
    corrected,
    is_right_json,
    read_sealed_json,
    seal_file,
    sealed_json,
)
from mediafm_core.vectors import to_arrow

DOCUMENT = {"name": "Béta d'été", "numbers": [0.1, 1e-5, None], "more": {"empty": {}}}
ROWS = 40


@pytest.fixture
def table() -> pa.Table:
    vectors = np.random.default_rng(0).normal(size=(ROWS, 8)).astype(np.float32)
    return pa.table(
        {
            "title_id": ["alpha"] * ROWS,
            "text": [f"line {row}" if row % 3 else None for row in range(ROWS)],
            "embedding": to_arrow(vectors),
        },
        metadata={"mediafm": '{"asset": "shots"}'},
    )


@pytest.fixture
def file(table: pa.Table, tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    write_parquet(
        table, path, compression="zstd", row_group_size=16, use_dictionary=["title_id", "text"]
    )
    return path


def is_noticed(path: Path) -> bool:
    """Return True if `verify` would find a table damaged."""
    try:
        if not check_parquet(path):
            check_unsealed(path)
    except SealError:
        return True
    return False


def test_a_document_is_read_back_and_each_flipped_bit_refused():
    content = sealed_json(DOCUMENT)
    assert read_sealed_json(content) == DOCUMENT
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"SHA-256|JSON|utf-8|line \d|control|property"):
            read_sealed_json(bytes(flipped))
        if place % 64 == 0:
            assert corrected(bytes(flipped), is_right_json) == content


def test_two_flipped_bits_are_not_corrected():
    flipped = bytearray(sealed_json(DOCUMENT))
    flipped[5] ^= 1
    flipped[9] ^= 1
    assert corrected(bytes(flipped), is_right_json) is None


def test_a_document_without_a_seal_is_read():
    assert read_sealed_json(b'{"a": 1}') == {"a": 1}


def test_a_sealed_table_is_ordinary_parquet(file: Path, table: pa.Table):
    assert pq.read_table(file).equals(table)
    found = duckdb.sql(f"SELECT count(*), max(text) FROM read_parquet('{file}')").fetchall()
    assert found == [(ROWS, "line 8")]
    assert check_parquet(file)


def test_each_flipped_bit_of_a_table_is_noticed_and_none_is_read(file: Path, table: pa.Table):
    content = file.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    # Each byte of the seal and the end; of the rest, one in 29. The bit changes with the byte.
    near = {*range(footer - 170, footer + 4), *range(len(content) - 12, len(content))}
    for place in sorted({*near, *range(0, len(content), 29)}):
        flip_at(file, place, place % 8)
        assert is_noticed(file), place
        try:
            with decoding(SealError), open_parquet(file) as opened:
                read = opened.read()
        except SealError:
            pass
        else:
            assert read.equals(table), place
        file.write_bytes(content)


def test_a_table_without_a_seal_is_read(file: Path, table: pa.Table):
    remove_seal(file)
    assert not check_parquet(file)
    check_unsealed(file)
    with open_parquet(file) as opened:
        assert opened.read().equals(table)


def test_a_sealed_database_is_one_of_duckdb_and_each_flipped_bit_noticed(tmp_path: Path):
    path = tmp_path / "features.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE numbers AS FROM range(1000)")
    assert not check_file(path)
    seal_file(path)
    assert check_file(path)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT sum(range) FROM numbers").fetchall() == [(499500,)]
    content = path.read_bytes()
    for place in (0, 9, 4096, 8192, 20_000, len(content) // 2, -81, -70, -60, -2, -1):
        flip_at(path, place, 3)
        with pytest.raises(SealError, match="SHA-256"):
            check_file(path)
        path.write_bytes(content)
