"""Work that fails though no folder is at fault: tried again, and given up for one title only."""

import errno

import pytest
from films import take_in

from mediafm_core.errors import StoreError
from mediafm_core.pipeline import materialise as materialising
from mediafm_core.pipeline.attempts import MOST_FAILURES
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.states import catalogue_states
from mediafm_core.store.artefacts import Store
from mediafm_core.store.comparison import differences

CONTEXT = ("contextual_embeddings",)


def states(platform) -> dict[str, str]:
    return {each.title_id: each.state for each in catalogue_states(platform)}


def damage_a_page(store: Store, asset: str, title_id: str) -> None:
    """Spoil the data of a table and leave its footer."""
    path = store.path(asset, title_id)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)


def test_a_table_with_damaged_data_is_removed_and_made_again(catalogue, taken_in):
    platform = catalogue.platform()
    damage_a_page(platform.store, "fused_embeddings", "cat")
    platform.store.remove(CONTEXT[0], "cat", platform.serving_model or "")
    assert states(platform)["cat"] != "present"
    with pytest.raises(StoreError, match="cat: fused_embeddings could not be read and were remov"):
        materialise(platform, CONTEXT, "cat")
    take_in(platform, ["cat", "coffee"])
    assert states(platform) == {"cat": "present", "coffee": "present"}
    assert differences(Store(taken_in.store), platform.store) == []


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EACCES, "no permission")])
def test_a_title_whose_work_fails_again_and_again_is_held_back(catalogue, monkeypatch, error):
    platform = catalogue.platform()
    platform.store.remove(CONTEXT[0], "cat", platform.serving_model or "")

    def fail(work):
        raise error

    with monkeypatch.context() as failing:
        failing.setitem(materialising._COMPUTE, CONTEXT[0], fail)
        for _ in range(MOST_FAILURES - 1):
            with pytest.raises(type(error)):
                materialise(platform, CONTEXT, "cat")
        (outcome,) = materialise(platform, CONTEXT, "cat")
    assert outcome.status == "quarantined"
    assert f"failed {MOST_FAILURES} times" in outcome.reason
    assert "--titles cat --retry" in outcome.reason
    take_in(platform, ["cat"])  # which begins with the folder, and so tries again
    assert states(platform)["cat"] == "present"


def test_failures_with_success_in_between_are_no_row(catalogue, monkeypatch):
    platform = catalogue.platform()

    def fail(work):
        raise MemoryError

    for _ in range(MOST_FAILURES + 1):
        platform.store.remove(CONTEXT[0], "cat", platform.serving_model or "")
        with monkeypatch.context() as failing:
            failing.setitem(materialising._COMPUTE, CONTEXT[0], fail)
            with pytest.raises(MemoryError):
                materialise(platform, CONTEXT, "cat")
        (outcome,) = materialise(platform, CONTEXT, "cat")
        assert outcome.status == "computed"


def test_a_full_disk_holds_no_title_back_however_long_it_lasts(catalogue, monkeypatch):
    platform = catalogue.platform()
    platform.store.remove(CONTEXT[0], "cat", platform.serving_model or "")

    def fail(work):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(materialising._COMPUTE, CONTEXT[0], fail)
    for _ in range(MOST_FAILURES + 2):
        with pytest.raises(OSError, match="No space left"):
            materialise(platform, CONTEXT, "cat")
