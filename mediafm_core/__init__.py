"""MediaFM: contextual features for every clip of a catalogue of films.

    import mediafm_core as mediafm

    mediafm.sql("SELECT title_id, count(*) AS clips FROM clips GROUP BY title_id")
    mediafm.similar("sintel", 61.0, 74.5, k=5)
    mediafm.embed("sintel", 61.0, 74.5)
    mediafm.export("genres.parquet", split={"train": 0.8, "test": 0.2})
    mediafm.TrainingSet.open("genres.parquet")

The store is the one of the settings (`MEDIAFM_STORE`) unless `store=` names one. Importing this
package is light: what a call needs is imported by the call.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mediafm_core.renamed import find_renamed_modules

if TYPE_CHECKING:
    from mediafm_core.api.catalogue_reader import embed, embed_many, sql
    from mediafm_core.api.clip_search import Searcher, search_text, similar, similar_many
    from mediafm_core.training_sets import TrainingSet, export

_PLACES = {
    "Searcher": "mediafm_core.api.clip_search",
    "TrainingSet": "mediafm_core.training_sets",
    "embed": "mediafm_core.api.catalogue_reader",
    "embed_many": "mediafm_core.api.catalogue_reader",
    "export": "mediafm_core.training_sets",
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
    "search_text",
    "similar",
    "similar_many",
    "sql",
]


find_renamed_modules()


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
