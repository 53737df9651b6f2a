"""Stages from shots to fused vectors: timed text, embeddings per modality, fusion."""

import logging
from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.errors import DamagedArtefactError, StoreError
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.work import Work
from mediafm_core.store.records import RECORD_KEY, ArtefactRecord

logger = logging.getLogger(__name__)


def timed_text(work: Work) -> None:
    """Write the text of each shot, from a side file or an embedded track."""
    from mediafm_core.media.probe import MediaProbe
    from mediafm_core.media.timed_text import read_timed_text, timed_text_per_shot
    from mediafm_core.titles.read_title import SideFile

    content = work.content
    files = content["files"]
    side_files = [SideFile.named(each["name"], files["media"]) for each in files["side_files"]]
    with work.reader("timed_text") as reader:
        found = read_timed_text(
            work.file,
            files["media"],
            MediaProbe.model_validate(content["probe"]),
            side_files,
            content["manifest"]["language"],
            lambda share: work.report("timed_text", share),
            reader,
        )
    for note in found.source.notes:
        logger.warning("%s, %s: %s", work.title_id, found.source.name, note)
    table, summary = timed_text_per_shot(found.cues, work.read("shots"))
    work.write("timed_text", table, **summary._asdict(), source=asdict(found.source))


def video_embeddings(work: Work) -> None:
    """Write one video vector per shot."""
    from mediafm_core.encoders.embed import embed_video

    platform = work.platform
    shots = platform.store.read("shots", work.title_id).num_rows
    earlier = _earlier(work, "video_embeddings")
    table = embed_video(
        platform.video_encoder,
        work.batches("keyframes"),
        shots,
        platform.settings.video.batch_size,
        lambda share: work.report("video_embeddings", share),
        earlier,
    )
    _write_embeddings(work, "video_embeddings", table, earlier)


def audio_embeddings(work: Work) -> None:
    """Write one audio vector per shot; zeros, marked absent, where there is no sound."""
    from mediafm_core.encoders.embed import embed_audio
    from mediafm_core.runtime.device import resolve_device

    platform = work.platform
    on_cpu = resolve_device(platform.settings) == "cpu"
    earlier = _earlier(work, "audio_embeddings")
    table = embed_audio(
        platform.audio_encoder,
        platform.store.sound_file(work.title_id),
        work.read("shots"),
        # A CPU is no faster on several windows of half a minute, and reports a share after each.
        1 if on_cpu else platform.settings.audio.batch_size,
        lambda share: work.report("audio_embeddings", share),
        earlier,
    )
    _write_embeddings(work, "audio_embeddings", table, earlier)


def text_embeddings(work: Work) -> None:
    """Write one text vector per shot; zeros, marked absent, where there is no text."""
    from mediafm_core.encoders.embed import embed_text

    platform = work.platform
    before = platform.text_encoder.usage
    earlier = _earlier(work, "text_embeddings")
    table = embed_text(
        platform.text_encoder,
        work.read("timed_text"),
        platform.settings.text.batch_size,
        lambda share: work.report("text_embeddings", share),
        earlier,
    )
    used = asdict(platform.text_encoder.usage - before)
    paid = {name: value for name, value in used.items() if value}
    _write_embeddings(work, "text_embeddings", table, earlier, **paid)


def title_metadata_embedding(work: Work) -> None:
    """Write the one vector of the title's synopsis and tags; zeros where it has neither."""
    from mediafm_core.encoders.embed import embed_metadata
    from mediafm_core.vectors import to_arrow

    manifest = work.content["manifest"]
    encoder = work.platform.text_encoder
    vector = embed_metadata(encoder, manifest["synopsis"], manifest["tags"])
    table = pa.table({"title_id": [work.title_id], "embedding": to_arrow(vector[None, :])})
    work.write("title_metadata_embedding", table, dimension=encoder.dimension)


def fused_embeddings(work: Work) -> None:
    """Write the fused vector of each shot, with presence and the index range of each modality."""
    from mediafm_core.fusion.concatenation import fuse, modality_ranges

    modalities = [work.read(f"{name}_embeddings") for name in ("video", "audio", "text")]
    store, title_id = work.store, work.title_id
    records = {
        name: store.record(f"{name}_embeddings", title_id) for name in ("video", "audio", "text")
    }
    table = fuse(*modalities)
    ranges = modality_ranges(*modalities)
    work.write(
        "fused_embeddings",
        table,
        dimension=max(stop for _, stop in ranges.values()),
        ranges={name: list(ends) for name, ends in ranges.items()},
        encoders={name: record.identity for name, record in records.items() if record},
    )


def _earlier(work: Work, asset: str) -> pa.Table | None:
    """Return the earlier vectors of the title, if the same encoder and code computed them."""
    if not work.reuse:
        return None
    try:
        table = work.read(asset)
    except DamagedArtefactError as error:
        logger.warning("%s of %s is damaged, none of it is reused: %s", asset, work.title_id, error)
        return None
    except StoreError:  # the first time
        return None
    # The record of the table that was read: another process may write the file meanwhile.
    made_by = (table.schema.metadata or {}).get(RECORD_KEY)
    if made_by is None:
        return None
    record = ArtefactRecord.model_validate_json(made_by)
    wanted = (work.targets[asset].identity, SPECS[asset].code_version)
    return table if (record.identity, record.code_version) == wanted else None


def _write_embeddings(
    work: Work, asset: str, table: pa.Table, earlier: pa.Table | None, **details: float
) -> None:
    from mediafm_core.encoders.embed import reused_rows

    work.write(
        asset,
        table,
        dimension=table.schema.field("embedding").type.list_size,
        present=pc.sum(table["present"]).as_py() or 0,
        reused=reused_rows(table, earlier),
        **details,
    )
