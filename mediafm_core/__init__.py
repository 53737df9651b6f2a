"""MediaFM: contextual features for the clips of a catalogue of films.

    import mediafm_core as mediafm

    mediafm.sql("SELECT title_id, count(*) AS clips FROM clips GROUP BY title_id")
    mediafm.scenes_of("sintel")
    mediafm.similar("sintel", 61.0, 74.5, k=5)
    mediafm.embed("sintel", 61.0, 74.5)
    mediafm.export("genres.parquet", split={"train": 0.8, "test": 0.2})
    mediafm.TrainingSet.open("genres.parquet")

Without `store=`, functions use the store of the settings (`MEDIAFM_STORE`). Importing this package
is light: each call imports what it needs.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mediafm_core.renamed import find_renamed_modules

if TYPE_CHECKING:
    from mediafm_core.api.catalogue_reader import embed, embed_many, scenes_of, sql
    from mediafm_core.api.clip_search import Searcher, search_text, similar, similar_many
    from mediafm_core.training_sets import TrainingSet, export

_MODULES = {
    "Searcher": "mediafm_core.api.clip_search",
    "TrainingSet": "mediafm_core.training_sets",
    "embed": "mediafm_core.api.catalogue_reader",
    "embed_many": "mediafm_core.api.catalogue_reader",
    "export": "mediafm_core.training_sets",
    "scenes_of": "mediafm_core.api.catalogue_reader",
    "search_text": "mediafm_core.api.clip_search",
    "similar": "mediafm_core.api.clip_search",
    "similar_many": "mediafm_core.api.clip_search",
    "sql": "mediafm_core.api.catalogue_reader",
}

__all__ = [
    "Searcher",
    "TrainingSet",
    "embed",
    "embed_many",
    "export",
    "scenes_of",
    "search_text",
    "similar",
    "similar_many",
    "sql",
]


find_renamed_modules()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
