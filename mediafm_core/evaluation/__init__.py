"""Evaluation: what representations are worth to linear probes on labels.

    from mediafm_core.config.settings import load_settings
    from mediafm_core.evaluation import Catalogue, Table, evaluate

    evaluate(load_settings(), Table(Path("shots.parquet"), ("picture", "sound")), ["starts_scene"])
    evaluate(load_settings(), Catalogue(models=("3f9a", "77c1")), ["genre"])     # two models

Importing this package is light: what a call needs is imported by the call.
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
