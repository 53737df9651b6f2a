"""The definitions as Dagster loads them: fast, without warnings, described, as committed."""

import json
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

SNAPSHOT = Path(__file__).with_name("graph.json")
HEAVY = {
    *("torch", "transformers", "onnxruntime", "ctranslate2", "open_clip"),
    *("av", "matplotlib", "sklearn", "scipy", "pandas", "boto3"),
}


def graph() -> dict[str, dict]:
    """Return assets, jobs and checks as the UI shows them."""
    from mediafm_assets.definitions import defs

    assets = {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "description": spec.description,
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "kinds": sorted(spec.kinds),
            "partitions": getattr(spec.partitions_def, "name", None),
            "owners": list(spec.owners),
            "checks": [],
        }
        for spec in defs.resolve_all_asset_specs()
    }
    asset_graph = defs.resolve_asset_graph()
    for key in sorted(asset_graph.asset_check_keys, key=lambda key: key.name):
        assets[key.asset_key.to_user_string()]["checks"].append(key.name)
    jobs = {
        job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
        for job in defs.resolve_all_job_defs()
        if not job.name.startswith("__")
    }
    return {"assets": assets, "jobs": jobs}


def write_snapshot() -> None:
    SNAPSHOT.write_text(json.dumps(graph(), indent=2, sort_keys=True) + "\n")


def test_the_graph_is_as_committed():
    renew = "python tests/assets/test_definitions.py"
    assert graph() == json.loads(SNAPSHOT.read_text()), f"if this is meant, run: {renew}"


def test_every_asset_is_described_and_owned():
    for name, asset in graph()["assets"].items():
        assert asset["description"], name
        assert asset["kinds"], name
        assert asset["owners"], name
        assert asset["group"] in {"ingest", "embeddings", "encoders", "model", "context"}, name


def test_loading_imports_nothing_heavy_and_prints_nothing():
    code = (
        "import sys; from mediafm_assets.definitions import defs; "
        "defs.resolve_asset_graph(); defs.resolve_all_job_defs(); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(loaded.stdout.split())
    ours = [line for line in loaded.stderr.splitlines() if "mediafm" in line or "preview" in line]
    assert ours == []


@given(
    wanted=st.lists(st.booleans(), max_size=40),
    size=st.integers(min_value=1, max_value=7),
)
def test_chunks_cover_the_wanted_titles_and_no_other(wanted: list[bool], size: int):
    from mediafm_assets.sensors.run_requests import chunks

    registered = [f"t{index}" for index in range(len(wanted))]
    chosen = {name for name, is_wanted in zip(registered, wanted, strict=True) if is_wanted}
    ranges = list(chunks(registered, chosen, size))
    for names in ranges:  # each is a range of partitions
        first = registered.index(names[0])
        assert names == registered[first : first + len(names)]
    assert [name for names in ranges for name in names] == [
        name for name in registered if name in chosen
    ]
    assert all(1 <= len(names) <= size for names in ranges)


def test_chunks_are_as_few_as_gaps_and_size_allow():
    from mediafm_assets.sensors.run_requests import chunks

    assert list(chunks(list("abcdefgh"), set("abcegh"), 2)) == [
        ["a", "b"],
        ["c"],
        ["e"],
        ["g", "h"],
    ]


def test_a_rollback_has_the_highest_priority():
    from mediafm_assets.definitions import defs
    from mediafm_assets.tags import ARRIVAL_PRIORITY

    for name in ("release_model", "rollback_model"):
        assert int(defs.resolve_job_def(name).tags["dagster/priority"]) > ARRIVAL_PRIORITY


if __name__ == "__main__":
    write_snapshot()
