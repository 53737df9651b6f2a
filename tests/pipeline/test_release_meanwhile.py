"""A release while a title is worked on: what is written is of one model, and says which."""

import mediafm_core.context
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.releases import release
from mediafm_core.pipeline.states import title_state
from mediafm_core.pipeline.training import train_model
from mediafm_core.titles.folder import TitleFolder


def test_vectors_are_recorded_under_the_model_that_computed_them(catalogue, monkeypatch):
    platform = catalogue.platform(training={"steps": 3, "validate_every": 3})
    old, new = platform.serving_model, train_model(platform).identity
    assert old != new
    platform.store.remove("contextual_embeddings", "cat", old)
    contextualise = mediafm_core.context.contextualise

    def with_a_release(*args: object, **options: object) -> object:
        release(platform, new)
        return contextualise(*args, **options)

    monkeypatch.setattr(mediafm_core.context, "contextualise", with_a_release)
    [outcome] = materialise(platform, ("contextual_embeddings",), "cat")
    monkeypatch.undo()

    assert (outcome.status, outcome.record.identity) == ("computed", old)
    assert platform.store.record("contextual_embeddings", "cat", old) == outcome.record
    assert platform.store.record("contextual_embeddings", "cat", new) is None
    assert platform.serving_model == new
    # Seen from the release, the title waits for the new model's vectors.
    folder = TitleFolder(catalogue.inbox / "cat")
    assert title_state(platform, folder).assets["contextual_embeddings"] == "missing"
    [again] = materialise(platform, ("contextual_embeddings",), "cat")
    assert (again.status, again.record.identity) == ("computed", new)
