"""Stage of the decode: shots, keyframes and soundtrack from a single pass over the media."""

from mediafm_core.disk.seals import sha256_of_file
from mediafm_core.pipeline.work import Work
from mediafm_core.store.artefact_tables import TableWriter


def decode(work: Work) -> None:
    """Write the three assets that every later stage reads instead of the media.

    Shots are written last: a pass without them does not count as finished.

    Raises:
        TitleError: the media cannot be decoded to its end.
    """
    from mediafm_core.media.probe import MediaProbe
    from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA

    content = work.content
    probe = MediaProbe.model_validate(content["probe"])
    length = probe.duration_s or 0.0
    with work.store.staging() as folder:
        soundtrack = folder / "soundtrack.flac"
        keyframes = TableWriter(folder / "keyframes.parquet", KEYFRAME_SCHEMA, compression="none")
        with (
            work.file(content["files"]["media"]) as media,
            work.reader("shots", probe) as reader,
        ):
            summary = reader.decode(
                media,
                work.title_id,
                probe,
                work.platform.detector,
                work.platform.settings.keyframes,
                keyframes.write,
                soundtrack,
                lambda seconds: work.report("shots", seconds / length if length else 0.0),
            )
        parts = summary.cpu_seconds
        keyframes.close(
            work.record(
                "keyframes",
                {"rows": keyframes.rows, "bytes": keyframes.prepared.stat().st_size},
                {"keyframes": parts["keyframes"]},
            )
        )
        work.store.commit(keyframes.prepared, work.store.key("keyframes", work.title_id))

        sound_file = work.store.key("soundtrack", work.title_id, suffix=".flac")
        sound: dict[str, str | None] = {"file": None}
        if summary.soundtrack_s > 0:
            sound = {
                "file": f"{work.title_id}.flac",
                "sha256": sha256_of_file(soundtrack).hex(),
            }
            work.store.commit(soundtrack, sound_file)
        else:
            work.store.remove_file(sound_file)
        work.store.write_json(
            work.record(
                "soundtrack",
                {"seconds": summary.soundtrack_s, **summary.sound},
                {"soundtrack": parts["soundtrack"]},
            ),
            sound,
        )

        record = work.record(
            "shots",
            {
                "rows": summary.shots.num_rows,
                "frames": summary.frames,
                "duration_s": summary.duration_s,
                "damaged_packets": summary.damaged_packets,
                **summary.clock,
            },
            parts,
        )
        work.store.write(record, summary.shots)
