"""Kinds of input that Dagster reads: `dagster.yaml` and run configurations."""

import json
from pathlib import Path
from random import Random

import yaml

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.corpus import Corpus
from benchmarks.fuzzing.inputs import Input, Kind, RefusedError, environment

_YAML = (Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text()


def dagster_kinds() -> list[Kind]:
    """Return the kinds of Dagster's files."""
    return [
        Kind("dagster.yaml", _dagster_yaml, _open_instance, ("dagster.yaml", "dagster_home")),
        Kind("run configuration", _run_config, _validate_run_config, ()),
    ]


def _dagster_yaml(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    file = "dagster_home/dagster.yaml"
    if rng.random() < 0.5:
        return Input(file, *mutations.mutate(rng, _YAML.encode(), [b"a: 1"], mutations.TEXT))
    data = json.dumps(yaml.safe_load(_YAML)).encode()  # JSON is YAML
    return Input(file, *mutations.mutate(rng, data, [b"a: 1"], mutations.JSON))


def _open_instance(root: Path, made: Input) -> None:
    from mediafm_assets.resources.instance import open_instance
    from mediafm_core.store.store import Store

    with (
        environment({"DAGSTER_HOME": str((root / made.file).parent)}),
        open_instance(Store(root / "store")) as instance,
    ):
        instance.get_runs(limit=1)


_RUN_CONFIGS = {
    "ingest_title": {"resources": {"options": {"config": {"force": True}}}},
    "release_model": {
        "ops": {
            "release_candidate": {
                "config": {"version": "aaaa", "compare": True, "reason": "", "released_by": "x"}
            }
        }
    },
    "rollback_model": {
        "ops": {"restore_previous_release": {"config": {"reason": "", "released_by": "x"}}}
    },
}


def _run_config(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    job = rng.choice(sorted(_RUN_CONFIGS))
    if isinstance(rng, mutations.Sound):
        job = "ingest_title"
    data = json.dumps(_RUN_CONFIGS[job]).encode()
    content, names = mutations.mutate(rng, data, [], (mutations.mutate_json,))
    return Input(f"{job}.json", content, names)


def _validate_run_config(root: Path, made: Input) -> None:
    import dagster as dg

    from benchmarks.quick_catalogue import QuickPlatform, settings_for
    from mediafm_assets.definitions import definitions

    try:
        config = yaml.safe_load((root / made.file).read_bytes())  # as the UI does
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RefusedError(type(error).__name__) from None
    platform = QuickPlatform(settings_for(root / "inbox", root / "store"))
    job = definitions({"platform": platform}).resolve_job_def(made.file.removesuffix(".json"))
    try:
        dg.validate_run_config(job, config)
    except dg.DagsterError as error:  # shown by Dagster's own page
        raise RefusedError(type(error).__name__) from None
    if job.name == "ingest_title":
        return
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(config, instance=instance, raise_on_error=False)
        for event in done.get_step_failure_events():
            data = event.step_failure_data
            if data.user_failure_data is None:
                raise RuntimeError(str(data.error))
            raise RefusedError(data.user_failure_data.description or "")
