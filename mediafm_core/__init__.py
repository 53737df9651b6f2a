"""MediaFM: contextual features for every clip of a catalogue of films.

    import mediafm_core as mediafm

    mediafm.sql("SELECT title_id, count(*) AS clips FROM clips GROUP BY title_id")
    mediafm.similar("sintel", 61.0, 74.5, k=5)
    mediafm.embed("sintel", 61.0, 74.5)

The store is the one of the settings (`MEDIAFM_STORE`) unless `store=` names one. Importing this
package is light: what a call needs is imported by the call.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediafm_core.reader import embed, embed_many, similar, sql

__all__ = ["embed", "embed_many", "similar", "sql"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from mediafm_core import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
