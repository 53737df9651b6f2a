"""Releases and comparisons of models that tests name by their versions."""

from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases import model_comparison
from mediafm_core.pipeline.releases import release as releases
from mediafm_core.pipeline.releases.candidates import resolve


def release(platform: Platform, version: str, **options: str) -> releases.Released:
    """Release the model of a version."""
    return releases.release(platform, resolve(platform.store, version), **options)


def compare_before_release(platform: Platform, version: str) -> list[model_comparison.Finding]:
    """Compare the model of a version as a release does."""
    return model_comparison.compare_before_release(platform, resolve(platform.store, version))


def compare_with_serving(platform: Platform, version: str) -> model_comparison.ModelComparison:
    """Compare the model of a version with the serving model by labels."""
    candidate = resolve(platform.store, version)
    reference = model_comparison.reference_of(platform, candidate)
    return model_comparison.compare_by_labels(platform, candidate, reference)


def predicts_masked_shots(platform: Platform, version: str) -> model_comparison.Finding:
    """Compare the validation loss of the model of a version with the serving model's."""
    candidate = resolve(platform.store, version)
    reference = model_comparison.reference_of(platform, candidate)
    return model_comparison.compare_by_validation_loss(candidate, reference)
