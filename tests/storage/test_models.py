"""Models of a store in S3 are uploaded and downloaded atomically."""

from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy
from stored_files import OpenFiles

from mediafm_core.errors import StorageError
from mediafm_core.store.model_store import model_folder, model_names, upload_model
from mediafm_core.store.store import Store

MODEL = "mediafm-7@0123456789abcdef"
FILES = {
    "README.md": b"card",
    "config.json": b"{}",
    "model.safetensors": b"w" * 300_000,
    "training.json": b'{"steps": 2}',
}


@pytest.fixture
def trained(open_files: OpenFiles, proxy: FaultyProxy) -> Store:
    """Return a store with a model that was trained on this machine and not uploaded."""
    store = Store(open_files(endpoint_url=proxy.endpoint, max_attempts=1))
    folder = store.models / MODEL
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return store


@pytest.fixture
def elsewhere(open_files: OpenFiles, tmp_path: Path) -> Store:
    """Return the same store on another machine."""
    return Store(open_files(cache=tmp_path / "elsewhere"))


def test_a_model_is_used_on_another_machine(trained: Store, elsewhere: Store) -> None:
    assert model_names(elsewhere) == []
    assert not model_folder(elsewhere, MODEL).exists()
    upload_model(trained, MODEL)
    assert model_names(elsewhere) == [MODEL]
    brought = {path.name: path.read_bytes() for path in model_folder(elsewhere, MODEL).iterdir()}
    assert brought == FILES
    assert [path.name for path in elsewhere.models.iterdir()] == [MODEL]


def test_a_model_that_is_there_in_part_is_not_there(
    trained: Store, elsewhere: Store, proxy: FaultyProxy
) -> None:
    proxy.down_after = 4  # whether it is there, then three of the four files
    with pytest.raises(StorageError):
        upload_model(trained, MODEL)
    assert sum(1 for _ in elsewhere.files.entries("models")) == 3
    assert model_names(elsewhere) == []
    assert not model_folder(elsewhere, MODEL).exists()
    proxy.down_after = None
    upload_model(trained, MODEL)
    assert (model_folder(elsewhere, MODEL) / "training.json").exists()


def test_a_model_that_is_brought_in_part_is_not_used(
    trained: Store, open_files: OpenFiles, proxy: FaultyProxy, tmp_path: Path
) -> None:
    upload_model(trained, MODEL)
    elsewhere = Store(
        open_files(endpoint_url=proxy.endpoint, max_attempts=1, cache=tmp_path / "elsewhere")
    )
    proxy.down_after = proxy.requests.total() + 4  # whether it is there, the list, two files
    with pytest.raises(StorageError):
        model_folder(elsewhere, MODEL)
    assert list(elsewhere.models.iterdir()) == []
    proxy.down_after = None
    assert len(list(model_folder(elsewhere, MODEL).iterdir())) == len(FILES)


def test_a_repaired_model_replaces_the_damaged_one(trained: Store, elsewhere: Store) -> None:
    upload_model(trained, MODEL)
    (trained.models / MODEL / "config.json").write_bytes(b'{"mended": true}')
    upload_model(trained, MODEL)
    upload_model(trained, MODEL, again=True)
    assert (model_folder(elsewhere, MODEL) / "config.json").read_bytes() == b'{"mended": true}'
