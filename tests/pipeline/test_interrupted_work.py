"""Interrupts end the work on a title where it reports progress, and quarantine no title."""

import json
import os
import signal

import pytest

from mediafm_core.pipeline import materialise as materialising
from mediafm_core.pipeline.failures.attempts import FOLDER, MAX_DEATHS
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.equality import differences

SOUND = ("audio_embeddings",)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_next_report_and_is_not_the_titles(
    catalogue, ingested, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    platform = catalogue.platform()
    compute = materialising._COMPUTE[SOUND[0]]
    reached: list[str] = []

    def interrupted(work) -> None:
        os.kill(os.getpid(), number)
        reached.append("after the signal")
        compute(work)
        reached.append("after the next report")

    monkeypatch.setitem(materialising._COMPUTE, SOUND[0], interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        for _ in range(MAX_DEATHS + 1):
            platform.store.remove(SOUND[0], "cat", "")
            with pytest.raises(KeyboardInterrupt):
                materialise(platform, SOUND, "cat")
    finally:
        signal.signal(number, before)
    assert set(reached) == {"after the signal"}
    assert platform.store.record(SOUND[0], "cat") is None
    assert list(Quarantine(platform.store)) == []
    notes = (platform.store.root / FOLDER).glob("*.json")
    assert [json.loads(note.read_bytes()) for note in notes] == []

    monkeypatch.undo()
    (outcome,) = materialise(catalogue.platform(), SOUND, "cat")
    assert outcome.status == "computed"
    assert differences(ingested.platform().store, platform.store) == []
