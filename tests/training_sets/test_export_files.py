"""Files of exported sets: written atomically, of one model, and never over other files."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from labelled_catalogue import TITLES, LabelledCatalogue, export
from small_catalogue import HIDDEN, MODEL, OTHER_MODEL

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.vectors import to_numpy


class TestWhole:
    def test_has_one_model_despite_a_release_meanwhile(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha", "beta")
        for title_id in ("alpha", "beta"):
            small.write(title_id, OTHER_MODEL)
        expected = mediafm_core.sql(
            "SELECT embedding FROM clip_features JOIN clips USING (title_id, clip_id) "
            "WHERE cardinality(labels) > 0 ORDER BY title_id, start_s",
            store=small.root,
        )
        seen = []

        def release(done: int, total: int) -> None:
            seen.append((done, total))
            small.publish("alpha", "beta", model=OTHER_MODEL)

        exported = export(small, tmp_path / "set", progress=release, fused=True)
        assert seen[-1] == (16, 16)
        assert exported.record.model == MODEL
        found = TrainingSet.open(tmp_path / "set")
        np.testing.assert_array_equal(found.matrix(), to_numpy(expected["embedding"]))
        assert mediafm_core.sql("FROM catalogue", store=small.root)["model_version"][0].as_py() == (
            OTHER_MODEL
        )

    @pytest.mark.parametrize("name", ["set", "set.parquet"])
    def test_a_killed_export_leaves_no_set(self, small, tmp_path: Path, name: str) -> None:
        # Killed when all is written and only the last step is missing.
        script = (
            "import os, signal, sys\n"
            "import mediafm_core\n"
            "from mediafm_core.training_sets.destination import Destination\n"
            "Destination.require_free = lambda self, replace, calls=[]: (\n"
            "    calls.append(1), len(calls) > 1 and os.kill(os.getpid(), signal.SIGKILL))\n"
            "mediafm_core.export(sys.argv[1], store=sys.argv[2])\n"
        )
        target = tmp_path / name
        killed = subprocess.run(
            [sys.executable, "-c", script, str(target), str(small.root)], check=False
        )
        assert killed.returncode == -signal.SIGKILL
        assert [found.name for found in tmp_path.iterdir()] == [".staging"]
        with pytest.raises(MediaFMError, match="There is no"):
            TrainingSet.open(target)
        export(small, target)
        assert not list((tmp_path / ".staging").iterdir())
        assert len(TrainingSet.open(target)) == 4 * len(TITLES)

    def test_an_existing_set_is_kept_without_replace(self, small, tmp_path: Path, labels) -> None:
        for target in (tmp_path / "set", tmp_path / "set.parquet"):
            export(small, target)
            with pytest.raises(MediaFMError, match="exists already: pass --replace"):
                export(small, target, labels=labels)
            with pytest.raises(MediaFMError, match="title_id of row 1 is empty"):
                export(
                    small,
                    target,
                    labels=pa.table({"title_id": [""], "clip_id": ["a"], "x": [1]}),
                    replace=True,
                )
            assert len(TrainingSet.open(target)) == 4 * len(TITLES)
            export(small, target, labels=labels, replace=True)
            assert len(TrainingSet.open(target)) == labels.num_rows

    def test_other_files_are_never_replaced(self, small, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
        (tmp_path / "tables").mkdir()
        pq.write_table(pa.table({"a": [1]}), tmp_path / "tables" / "a.parquet")
        pq.write_table(pa.table({"a": [1]}), tmp_path / "labels.parquet")
        (tmp_path / "notes").write_text("mine")
        (tmp_path / "set.parquet").mkdir()
        for name in ("photos", "tables", "labels.parquet", "notes", "set.parquet"):
            expected = f"{name}.*(Parquet|no training set|is a folder|is a file)"
            with pytest.raises(MediaFMError, match=expected):
                export(small, tmp_path / name, replace=True)
        assert (tmp_path / "notes").read_text() == "mine"
        assert pq.read_table(tmp_path / "labels.parquet").column_names == ["a"]
        assert (tmp_path / "photos" / "cat.jpg").exists()
        assert (tmp_path / "tables" / "a.parquet").exists()

    def test_an_unwritable_destination(self, small, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError, match=r"cannot be written .*: make space, or choose"):
            export(small, tmp_path / "file" / "set.parquet")
        for place in ("s3://bucket/prefix", "http://host/set.parquet", "s3://b/x.parquet"):
            with pytest.raises(MediaFMError, match=r"names|usable|no file"):
                mediafm_core.export(place, store=small.root)

    def test_a_set_of_many_files(self, small, tmp_path: Path, labels, monkeypatch) -> None:
        from mediafm_core.training_sets import parquet_files

        monkeypatch.setattr(parquet_files, "ROWS_READ_TOGETHER", 4)
        monkeypatch.setattr(parquet_files, "_FILE_BYTES", 4 * HIDDEN * 8)
        exported = export(small, tmp_path / "set", labels=labels)
        assert exported.files == 4
        names = [f"part-{number:05d}-of-00004.parquet" for number in range(4)]
        assert sorted(path.name for path in (tmp_path / "set").iterdir()) == names
        assert TrainingSet.open(tmp_path / "set").labels("score").tolist() == sorted(
            labels["score"].to_pylist()
        )
        (tmp_path / "set" / names[2]).unlink()
        with pytest.raises(MediaFMError, match="has 17 of 25 rows: a file is missing"):
            TrainingSet.open(tmp_path / "set")
