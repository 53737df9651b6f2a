"""Shots that have not changed do not run through the encoders when a title is delivered again."""

import pytest
from films import SAMPLES, excerpt, write_manifest

from mediafm_core.pipeline.graph import UP_TO_FUSION
from mediafm_core.pipeline.materialise import DECODED, Outcome, materialise
from mediafm_core.pipeline.platform import Platform
from mediafm_core.vectors import to_arrow, to_numpy

MODALITIES = ("video", "audio", "text")
EMBEDDINGS = [f"{name}_embeddings" for name in MODALITIES]


class Sent:
    """Count the pictures, windows of sound and texts that run through a platform's encoders."""

    def __init__(self, platform: Platform) -> None:
        self.video, self.audio, self.text = [], [], []
        for name in MODALITIES:
            encoder = getattr(platform, f"{name}_encoder")
            encoder.encode = self._listening(encoder.encode, getattr(self, name))

    @staticmethod
    def _listening(encode, sent):
        def listen(items):
            sent.extend(items)
            return encode(items)

        return listen


def deliver(platform: Platform, title_id: str = "coffee") -> dict[str, Outcome]:
    """Materialise all assets up to the fused vectors."""
    single = [(name,) for name in UP_TO_FUSION if name not in DECODED]
    groups = [single[0], DECODED, *single[1:]]
    found = [outcome for group in groups for outcome in materialise(platform, group, title_id)]
    assert [outcome.reason for outcome in found if outcome.reason] == []
    return {outcome.asset: outcome for outcome in found}


def reused(outcomes: dict[str, Outcome]) -> dict[str, tuple[int, int]]:
    """Return the numbers of present and of reused rows, of the modalities that were computed."""
    computed = {name: outcomes[name] for name in EMBEDDINGS if outcomes[name].status == "computed"}
    details = {name: outcome.record.details for name, outcome in computed.items()}
    return {name: (each["present"], each["reused"]) for name, each in details.items()}


def assert_as_from_nothing(platform: Platform, *assets: str) -> None:
    """Check that vectors and versions equal those computed without an earlier table."""
    store = platform.store
    tables = {asset: store.read(asset, "coffee") for asset in assets}
    records = {asset: store.record(asset, "coffee") for asset in assets}
    for asset in assets:
        store.remove(asset, "coffee")
        (found,) = materialise(platform, (asset,), "coffee")
        assert (found.status, found.record.details["reused"]) == ("computed", 0)
        assert found.record.data_version == records[asset].data_version
        assert store.read(asset, "coffee").equals(tables[asset])


def test_another_tail(catalogue):
    film = next((SAMPLES / "the_astronauts_coffee").glob("*.mp4"))
    excerpt(film, catalogue.inbox / "coffee" / "media.mp4", seconds=17.0)
    write_manifest(catalogue.inbox / "coffee")
    platform = catalogue.platform()
    before = set(platform.store.read("video_embeddings", "coffee")["input_digest"].to_pylist())
    sent = Sent(platform)
    shots, kept = reused(deliver(platform))["video_embeddings"]
    assert 0 < kept < shots
    after = platform.store.read("video_embeddings", "coffee")["input_digest"].to_pylist()
    changed = {shot for shot, digest in enumerate(after) if digest not in before}
    assert len(changed) == shots - kept
    keyframes = platform.store.read("keyframes", "coffee")["shot_index"].to_pylist()
    assert len(sent.video) == sum(shot in changed for shot in keyframes)
    assert_as_from_nothing(platform, *EMBEDDINGS)


def test_another_caption(catalogue):
    captions = catalogue.inbox / "coffee" / "captions.en.vtt"
    old = catalogue.platform().store.read("timed_text", "coffee")["text"].drop_null()[0].as_py()
    line = old.splitlines()[0]
    captions.write_text(captions.read_text().replace(line, "Something else entirely.", 1))
    write_manifest(catalogue.inbox / "coffee")
    platform = catalogue.platform()
    sent = Sent(platform)
    found = reused(deliver(platform))
    assert list(found) == ["text_embeddings"], "picture and sound are not looked at"
    present, kept = found["text_embeddings"]
    assert kept == present - 1
    (new,) = sent.text
    assert "Something else entirely." in new
    assert_as_from_nothing(platform, "text_embeddings")


def as_made_by(platform: Platform, asset: str, **changes: str) -> None:
    """Make an artefact stale, with wrong vectors and another record of its computation."""
    store = platform.store
    record = store.record(asset, "coffee").model_copy(update={"data_version": "other", **changes})
    table = store.read(asset, "coffee")
    place = table.column_names.index("embedding")
    wrong = to_arrow(-to_numpy(table["embedding"]))
    store.write(record, table.set_column(place, "embedding", wrong))


@pytest.mark.parametrize("change", [{"identity": "another-1@0"}, {"code_version": "0"}])
@pytest.mark.parametrize("asset", ["video_embeddings", "text_embeddings"])
def test_vectors_of_another_encoder_or_code_are_never_reused(catalogue, ingested, asset, change):
    platform = catalogue.platform()
    as_made_by(platform, asset, **change)
    (found,) = materialise(platform, (asset,), "coffee")
    assert (found.status, found.record.details["reused"]) == ("computed", 0)
    expected = ingested.platform().store.read(asset, "coffee")
    assert platform.store.read(asset, "coffee").equals(expected)


def test_a_damaged_table_is_not_reused(catalogue, ingested):
    platform, asset = catalogue.platform(), "text_embeddings"
    as_made_by(platform, asset)
    path = platform.store.path(asset, "coffee")
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)  # the pages; the record at the file's end can be read
    path.write_bytes(content)
    (found,) = materialise(platform, (asset,), "coffee")
    assert (found.status, found.record.details["reused"]) == ("computed", 0)
    expected = ingested.platform().store.read(asset, "coffee")
    assert platform.store.read(asset, "coffee").equals(expected)


def test_vectors_of_the_same_encoder_are_reused(catalogue):
    """Wrong vectors do come back where they are reused: the tests above would notice."""
    platform = catalogue.platform()
    expected = {}
    for asset in EMBEDDINGS:
        as_made_by(platform, asset)
        expected[asset] = platform.store.read(asset, "coffee")
    sent = Sent(platform)
    for asset in EMBEDDINGS:
        (found,) = materialise(platform, (asset,), "coffee")
        assert found.record.details["reused"] == found.record.details["present"] > 0
        assert platform.store.read(asset, "coffee").equals(expected[asset])
    assert (sent.video, sent.audio, sent.text) == ([], [], [])


def test_a_table_without_digests_is_computed_again(catalogue, ingested):
    platform = catalogue.platform()
    store, asset = platform.store, "text_embeddings"
    record = store.record(asset, "coffee").model_copy(update={"data_version": "old"})
    store.write(record, store.read(asset, "coffee").drop_columns("input_digest"))
    (found,) = materialise(platform, (asset,), "coffee")
    assert found.record.details["reused"] == 0
    assert store.read(asset, "coffee").equals(ingested.platform().store.read(asset, "coffee"))
