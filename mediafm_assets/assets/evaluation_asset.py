"""Asset `evaluation`, and the checks that compare a trained model with the serving one."""

from collections.abc import Sequence
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from mediafm_assets.assets.metadata import describe_difference, describe_evaluation
from mediafm_assets.dagster_internals import DATA_VERSION_TAG
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_assets.tags import ACCELERATOR_POOL, OWNERS
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.identity import digest_of
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import Candidate, list_candidates, resolve
from mediafm_core.pipeline.releases.model_comparison import (
    Finding,
    compare_by_labels,
    compare_by_validation_loss,
    reference_of,
)
from mediafm_core.pipeline.releases.stored_evaluation import EvaluationRequest, evaluate_catalogue
from mediafm_core.readable import inert
from mediafm_core.runtime.progress import progress_lines
from mediafm_core.store.model_store import model_folder

EVALUATION, MODEL = "evaluation", "mediafm_model"
DEFAULTS = load_settings().evaluation


class EvaluationConfig(dg.Config):
    """Labels, models and sizes of an evaluation."""

    labels: list[str] = Field(
        list(DEFAULTS.labels),
        description="labels of clips, one task each; `a,b` is one multilabel task; empty: all "
        "labels",
    )
    task: Literal["guessed", Task] = Field(
        "guessed", description="task of the probes; guessed: from the values of each label"
    )
    models: list[str] = Field(
        [],
        description="identities or first digits of digests; the first is compared with the others; "
        "empty: the serving model",
    )
    representations: list[str] = Field(
        [], description="such as flat, alone, in_context; empty: all that apply"
    )
    folds: int = Field(
        DEFAULTS.folds or 0,
        ge=0,
        description="folds of the cross-validation over titles; 0: five, or ten for ranking",
    )
    seeds: int = Field(
        DEFAULTS.seeds, ge=1, description="number of seeds whose results are averaged"
    )
    bootstrap: int = Field(
        DEFAULTS.bootstrap_samples, ge=1, description="bootstrap samples of titles"
    )


@dg.asset(
    name=EVALUATION,
    deps=["clip_features", "fused_embeddings", "serving_model"],
    group_name="model",
    kinds={"parquet", "pytorch"},
    owners=OWNERS,
    code_version="1",
    pool=ACCELERATOR_POOL,
)
def evaluation(
    context: dg.AssetExecutionContext, config: EvaluationConfig, platform: PlatformResource
) -> dg.MaterializeResult:
    """Metrics of linear probes on the labels of clips, with and without the title's context."""
    try:
        with progress_lines(context.log.info) as lines:
            found = evaluate_catalogue(
                platform, _request(platform, config), context.log.info, lines.show
            )
    except MediaFMError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest_of(*(each.key for each in found.measured))),
        metadata=describe_evaluation(platform, found),
    )


@dg.asset_check(asset=MODEL, pool=ACCELERATOR_POOL)
def in_context_as_good_as_serving(
    context: dg.AssetCheckExecutionContext, platform: PlatformResource
) -> dg.AssetCheckResult:
    """Check that for no label its contextual vectors are worse than those of the serving model.

    Warns if the interval of a difference lies below zero. It prevents no release.
    """
    model = _latest_model(context.instance, platform)
    if model is None:
        return _result(Finding(None, "No model has been trained."))
    with progress_lines(context.log.info) as lines:
        reference = reference_of(platform, model)
        compared = compare_by_labels(platform, model, reference, context.log.info, lines.show)
    return _result(compared.finding, describe_difference(platform, compared))


@dg.asset_check(asset=MODEL)  # its name is stored in Dagster's event log
def hidden_shots_are_predicted(
    context: dg.AssetCheckExecutionContext, platform: PlatformResource
) -> dg.AssetCheckResult:
    """Check that its validation loss is below that of the baselines, and no worse than before.

    Warns if the best baseline of its training has a smaller loss, or the serving model has, where
    both were validated on the same shots. It prevents no release.
    """
    model = _latest_model(context.instance, platform)
    if model is None:
        return _result(Finding(None, "No model has been trained."))
    return _result(compare_by_validation_loss(model, reference_of(platform, model)))


CHECKS: Sequence[dg.AssetChecksDefinition] = (
    in_context_as_good_as_serving,
    hidden_shots_are_predicted,
)


def _request(platform: Platform, config: EvaluationConfig) -> EvaluationRequest:
    return EvaluationRequest(
        labels=tuple(config.labels),
        task=None if config.task == "guessed" else config.task,
        models=tuple(resolve(platform.store, version) for version in config.models),
        representations=tuple(config.representations) or None,
        folds=config.folds or None,
        seeds=config.seeds,
        bootstrap=config.bootstrap,
    )


def _latest_model(instance: dg.DagsterInstance, platform: Platform) -> Candidate | None:
    """Return the model that was materialised last; without such an event, the store's newest."""
    event = instance.get_latest_materialization_event(dg.AssetKey(MODEL))
    if event is not None and event.asset_materialization is not None:
        identity = (event.asset_materialization.tags or {}).get(DATA_VERSION_TAG)
    else:
        identity = next((each.identity for each in list_candidates(platform.store)), None)
    return Candidate(model_folder(platform.store, identity)) if identity else None


def _result(finding: Finding, metadata: dict[str, Any] | None = None) -> dg.AssetCheckResult:
    state = {True: "passed", False: "warning", None: "not measurable"}[finding.passed]
    return dg.AssetCheckResult(
        passed=finding.passed is not False,
        severity=dg.AssetCheckSeverity.WARN,
        description=inert(finding.sentence),
        metadata={"state": state, "finding": finding.sentence, **(metadata or {})},
    )
