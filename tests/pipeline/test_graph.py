"""Identities in the table of assets."""

from types import SimpleNamespace

import pytest

from mediafm_core.config.section import PrecisionSetting
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.graph import SPECS


@pytest.mark.parametrize(
    ("precision", "identity"),
    [("auto", "a-model"), ("float32", "a-model"), ("bfloat16", "a-model in bfloat16")],
)
def test_contextual_vectors_of_another_precision_have_another_version(
    precision: PrecisionSetting, identity: str
) -> None:
    settings = load_settings(precision=precision)
    identity_of = SPECS["contextual_embeddings"].identity
    assert identity_of(SimpleNamespace(settings=settings, serving_model="a-model")) == identity
    assert identity_of(SimpleNamespace(settings=settings, serving_model=None)) is None
