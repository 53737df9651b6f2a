"""Evaluation of representations with linear probes on labels.

In: a table of shots with vectors and labels, or the labelled clips of a catalogue with its models.
Out: a `Report` with metrics, intervals and paired differences, as JSON, Parquet and pictures.

    from mediafm_core.config.settings import load_settings
    from mediafm_core.evaluation import Catalogue, Table, evaluate

    evaluate(load_settings(), Table(Path("shots.parquet"), ("picture", "sound")), ["starts_scene"])
    evaluate(load_settings(), Catalogue(models=("3f9a", "77c1")), ["genre"])     # two models

Importing this package is light: each call imports what it needs.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediafm_core.evaluation.evaluation_sources import Catalogue, Table
    from mediafm_core.evaluation.measurement import evaluate
    from mediafm_core.evaluation.results import Report

_MODULES = {
    "Catalogue": "mediafm_core.evaluation.evaluation_sources",
    "Report": "mediafm_core.evaluation.results",
    "Table": "mediafm_core.evaluation.evaluation_sources",
    "evaluate": "mediafm_core.evaluation.measurement",
}

__all__ = ["Catalogue", "Report", "Table", "evaluate"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
