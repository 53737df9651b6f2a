"""Export from a store in S3, to S3 and to a disk, equals an export from a disk."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from labelled_catalogue import LabelledCatalogue
from s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from stored_files import upload_folder

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import MediaFMError

STORE = "s3://sets-catalogue/store"


def test_sets_in_s3_and_on_disk_are_equal(
    small: LabelledCatalogue,
    labels: pa.Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans = pa.table({"title_id": ["beta"], "start_s": [3.0], "end_s": [40.0], "good": [True]})
    with s3_server(tmp_path / "server") as server:
        server.bucket("sets-catalogue")
        upload_folder(server, small.root, STORE)
        for name, value in {
            "endpoint_url": server.endpoint,
            "region": "us-east-1",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "cache": str(tmp_path / "cache"),
        }.items():
            monkeypatch.setenv(f"MEDIAFM_S3__{name.upper()}", value)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for number, source in enumerate((labels, spans)):
            expected = tmp_path / f"{number}.parquet"
            address = f"s3://sets-catalogue/sets/{number}.parquet"
            mediafm_core.export(expected, labels=source, fused=True, store=small.root)
            for place in (address, tmp_path / f"from_s3_{number}"):
                mediafm_core.export(place, labels=source, fused=True, store=STORE)
                found = TrainingSet.open(place)
                assert found.to_arrow().equals(TrainingSet.open(expected).to_arrow())
                np.testing.assert_array_equal(found.torch()[:].numpy(), found.matrix())
            with pytest.raises(MediaFMError, match=r"0.parquet exists already: pass --replace"):
                mediafm_core.export("s3://sets-catalogue/sets/0.parquet", store=STORE)
        with pytest.raises(MediaFMError, match=r"There is no s3://.*none.parquet"):
            TrainingSet.open("s3://sets-catalogue/sets/none.parquet")
        with pytest.raises(MediaFMError, match="S3 cannot create a folder atomically"):
            mediafm_core.export("s3://sets-catalogue/sets/folder", store=STORE)
