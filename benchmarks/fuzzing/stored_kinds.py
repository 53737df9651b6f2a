"""Kinds of input in a store: models, artefacts, shards, `features.duckdb` and `serving.json`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.corpus import SECRET, TITLE, Corpus
from benchmarks.fuzzing.inputs import (
    LINK_RATIO,
    Input,
    Kind,
    RefusedError,
    environment,
    materialise_or_refuse,
    platform_of,
)
from mediafm_core.disk.seals import is_sealed_json, read_sealed_json

_UNSEALED_RATIO = 0.6  # of stored files lose their digest, which would refuse every change
_SEAL = re.compile(rb"MediaFM-SHA-256:[0-9a-f]{64}\n")


def stored_kinds() -> list[Kind]:
    """Return the kinds of stored files."""
    return [
        Kind("model", _model, _load_model, ("mediafm-",)),
        Kind("artefact", _artefact, _read_artefact, (TITLE,)),
        Kind("shard", _shard, _read_features, ("parquet", "features", "query", TITLE)),
        Kind("features.duckdb", _features, _read_features, ("features.duckdb", "query", TITLE)),
        Kind("serving.json", _serving, _read_serving, ("serving.json",)),
    ]


def _some_file(rng: Random, root: Path, pattern: str) -> tuple[str, bytes, list[bytes]]:
    """Choose a file of the worker's catalogue: its name, its content, those of the others."""
    files = sorted(each for each in root.glob(pattern) if each.is_file())
    file = rng.choice(files)
    return str(file.relative_to(root)), file.read_bytes(), [each.read_bytes() for each in files]


def _stored(
    rng: Random, root: Path, patterns: Sequence[str], some: Sequence[mutations.Mutation] = ()
) -> Input:
    file, data, others = _some_file(rng, root, rng.choice(patterns))
    if rng.random() < _UNSEALED_RATIO:
        data = _without_digest(data)
    possible = some or (mutations.JSON if file.endswith(".json") else mutations.BYTES)
    return Input(file, *mutations.mutate(rng, data, others, possible))


def _without_digest(data: bytes) -> bytes:
    """Return a file as earlier versions wrote it: it has no digest that reveals a change."""
    if is_sealed_json(data):
        return json.dumps(read_sealed_json(data)).encode()
    return _SEAL.sub(b"", data)


def _model(rng: Random, _corpus: Corpus, root: Path) -> Input:
    names = ("config.json", "config.json", "training.json", "model.safetensors", "README.md")
    made = _stored(rng, root, [f"store/models/*/{name}" for name in names])
    if rng.random() < LINK_RATIO and not isinstance(rng, mutations.Sound):
        content = rng.choice((None, root / "outside" / f"{SECRET}.srt"))
        return Input(made.file, content, "link" if content else "pipe")
    return made


def _load_model(root: Path, made: Input) -> None:
    from mediafm_core.model.model_files import read_card
    from mediafm_core.model.saved_model import copy_model
    from mediafm_core.pipeline.releases.candidates import Candidate, list_candidates
    from mediafm_core.store.store import Store

    folder = (root / made.file).parent
    list_candidates(Store(root / "store"))
    read_card(folder)
    Candidate(folder).record  # noqa: B018 - read
    copy_model(folder, root / "adopted")


def _artefact(rng: Random, _corpus: Corpus, root: Path) -> Input:
    patterns = [f"store/{asset}/{TITLE}.*" for asset in ("title", "soundtrack", "shots")]
    patterns += [f"store/*/{TITLE}.parquet", f"store/*/*/{TITLE}.parquet"]
    return _stored(rng, root, patterns)


def _read_artefact(root: Path, _made: Input) -> None:
    """Read the artefact, then materialise the title as a run does."""
    from mediafm_core.errors import StoreError
    from mediafm_core.pipeline.graph import FROM_MODEL, UP_TO_FUSION
    from mediafm_core.pipeline.materialise import DECODED
    from mediafm_core.pipeline.planning.asset_states import catalogue_states

    platform = platform_of(root)
    list(catalogue_states(platform))
    groups = [
        DECODED if asset == DECODED[0] else (asset,)
        for asset in (*UP_TO_FUSION, *FROM_MODEL)
        if asset not in DECODED[1:]
    ]
    try:
        materialise_or_refuse(platform, *groups, force=True)
    except StoreError as error:  # damaged artefacts are removed, and the next run makes them
        materialise_or_refuse(platform, *groups)
        raise RefusedError(str(error)) from None


def _shard(rng: Random, _corpus: Corpus, root: Path) -> Input:
    return _stored(rng, root, ["store/features/*/*/*.parquet"])


def _features(rng: Random, _corpus: Corpus, root: Path) -> Input:
    return _stored(rng, root, ["store/features.duckdb"])


def _read_features(root: Path, _made: Input) -> None:
    """Work of readers, and of a run that publishes."""
    from mediafm_core.api import catalogue_reader
    from mediafm_core.store.features import catalogue, feature_tables
    from mediafm_core.store.store import Store

    store = root / "store"
    with environment({"MEDIAFM_STORE": str(store), "MEDIAFM_INBOX": str(root / "inbox")}):
        catalogue(Store(store))
        for table in feature_tables.TABLES:
            catalogue_reader.sql(f"FROM {table}", store=store)
        catalogue_reader.embed_many(TITLE, [(0.0, 0.5), (0.2, 1.0)], store=store)


def _serving(rng: Random, _corpus: Corpus, root: Path) -> Input:
    return _stored(rng, root, ["store/serving.json"])


def _read_serving(root: Path, _made: Input) -> None:
    from mediafm_core.pipeline.serving import (
        release_history,
        restored_by_rollback,
        serving_model,
    )
    from mediafm_core.store.model_store import model_folder
    from mediafm_core.store.store import Store

    store = Store(root / "store")
    history = release_history(store)
    restored_by_rollback(history)
    model_folder(store, serving_model(store) or "none")
