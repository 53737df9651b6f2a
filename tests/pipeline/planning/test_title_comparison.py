"""A title is compared once in each call that works on it."""

from collections import Counter

import pytest

from mediafm_core.errors import WorkError
from mediafm_core.pipeline.failures.cross_check import find_title_to_check
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import _COMPUTE, DECODED, materialise
from mediafm_core.pipeline.planning.asset_states import VersionComparison
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.work import Work
from mediafm_core.store.store import Store

STEPS = [("title",), DECODED, *((name,) for name in SPECS if name not in {"title", *DECODED})]


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count comparisons by title; those of no single title are counted under an empty name."""
    made: Counter[str] = Counter()
    begin = VersionComparison.__init__
    begin_title = TitleComparison.__init__

    def counted(comparison: VersionComparison, *arguments: object) -> None:
        begin(comparison, *arguments)
        made[""] += not isinstance(comparison, TitleComparison)

    def counted_title(comparison: TitleComparison, *arguments: object) -> None:
        begin_title(comparison, *arguments)
        made[comparison.title_id] += 1

    monkeypatch.setattr(VersionComparison, "__init__", counted)
    monkeypatch.setattr(TitleComparison, "__init__", counted_title)
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """Count reads of records by asset and title."""
    made: Counter[tuple[str, str]] = Counter()
    for name in ("record", "json_record", "version"):
        read = getattr(Store, name)

        def counted(store: Store, asset: str, *arguments: object, read=read) -> object:
            made[asset, str(arguments[0])] += 1
            return read(store, asset, *arguments)

        monkeypatch.setattr(Store, name, counted)
    return made


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("assets", STEPS, ids=lambda assets: assets[0])
def test_a_call_compares_its_title_once(
    catalogue, comparisons: Counter[str], assets: tuple[str, ...], force: bool
):
    outcomes = materialise(catalogue.platform(), assets, "coffee", force=force)
    assert {outcome.status for outcome in outcomes} == {"computed" if force else "unchanged"}
    assert +comparisons == {"coffee": 1}


@pytest.mark.parametrize("assets", STEPS, ids=lambda assets: assets[0])
def test_a_comparison_reads_each_record_once(
    catalogue, reads: Counter[tuple[str, str]], assets: tuple[str, ...]
):
    comparison = TitleComparison(catalogue.platform(), "coffee")
    for _ in range(2):
        for asset in assets:
            assert comparison.record(asset) is not None
            assert asset == "title" or comparison.is_current(asset)
        assert comparison.content["files"]
    assert set(reads.values()) == {1}


def test_a_failure_compares_each_title_once(
    catalogue, comparisons: Counter[str], monkeypatch: pytest.MonkeyPatch
):
    """The failed title is compared before its work, the other one to try the same work on."""
    platform = catalogue.platform()
    compute = _COMPUTE["fused_embeddings"]

    def failing(work: Work) -> None:
        if work.title_id == "coffee":
            raise RuntimeError("unforeseen")
        compute(work)

    monkeypatch.setitem(_COMPUTE, "fused_embeddings", failing)
    with pytest.raises(WorkError, match="The same work on cat passes"):
        materialise(platform, ("fused_embeddings",), "coffee", force=True)
    assert +comparisons == {"coffee": 1, "cat": 1}


def test_a_title_to_try_comes_with_its_comparison(catalogue, comparisons: Counter[str]):
    found = find_title_to_check(catalogue.platform(), "shots", but={"coffee"})
    assert found is not None
    assert found.is_current("shots")
    assert +comparisons == {"cat": 1}
