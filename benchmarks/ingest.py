"""Cost of ingesting a film: CPU seconds per hour of video and peak memory, by stage.

    python -m benchmarks.ingest FILM [--times 10] [--baselines] [--json FILE]

`--times N` repeats the film N times in one file (streams copied), which shows whether memory grows
with length. `--baselines` measures, in the same call and on the same file, (a) ffmpeg's own decode
and scaling and (b) the straightforward chain: the shot detector's own command line, a second decode
for frames, then encoders without batches. (a) and (b) need the `ffmpeg` program.

CPU seconds are those of whole processes (user and system), or of one stage inside `mediafm run` as
its artefact records them; peak memory is the resident set.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import av
from rich.console import Console
from rich.table import Table

from benchmarks.options import parse, write_json
from benchmarks.processes import mediafm, timed
from benchmarks.small_inputs import SmallInputs

STAGES = (
    "title",
    "shots",
    "timed_text",
    "video_embeddings",
    "audio_embeddings",
    "text_embeddings",
    "title_metadata_embedding",
    "fused_embeddings",
    "contextual_embeddings",
    "scenes",
    "clip_features",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--baselines", action="store_true")
    arguments = parse(parser, small)
    with tempfile.TemporaryDirectory() as folder:
        film = repeated(arguments.film, arguments.times, Path(folder))
        results = measure(film, Path(folder), arguments.baselines)
    show(results)
    write_json(arguments.json, results)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.film)]


def measure(film: Path, folder: Path, baselines: bool) -> dict:
    """Measure `mediafm run` over one film, by stage, and the requested baselines."""
    title = folder / "inbox" / "film"
    title.mkdir(parents=True)
    shutil.copyfile(film, title / f"media{film.suffix}")
    manifest = {"title_id": "film", "name": "Film", "kind": "movie", "language": "en"}
    (title / "title.json").write_text(json.dumps(manifest))
    store = folder / "store"
    run = mediafm("run", inbox=title.parent, store=store)
    total = timed(run)
    again = timed(run)
    hours = seconds_of(film) / 3600
    rows = [
        {"what": "mediafm run", **total},
        *({"what": f"  {name}", **stage} for name, stage in stages(store).items()),
        {"what": "mediafm run again", **again},
    ]
    if baselines:
        scale = ["-vf", "scale=48:27", "-pix_fmt", "rgb24", "-f", "null", "-"]
        ffmpeg = ["ffmpeg", "-v", "error", "-i", str(film), *scale]
        rows.append({"what": "(a) ffmpeg decode and scale", **timed(ffmpeg)})
        chain = [sys.executable, "-m", "benchmarks.straightforward", str(film)]
        rows.append({"what": "(b) straightforward chain", **timed(chain)})
    for row in rows:
        row["cpu_seconds_per_hour"] = round(row["cpu_seconds"] / hours, 1)
    return {"film": film.name, "seconds": round(hours * 3600, 1), "rows": rows}


def stages(store: Path) -> dict[str, dict]:
    """Return the cost that each artefact of the title recorded when it was computed."""
    from mediafm_core.config.settings import load_settings
    from mediafm_core.pipeline.planning.title_comparison import TitleComparison
    from mediafm_core.pipeline.platform import Platform

    platform = Platform(load_settings(store=store))
    comparison = TitleComparison(platform, "film")
    found = {}
    for name in STAGES:
        record = comparison.record(name)
        if record is None or record.measured is None:
            continue
        measured = record.measured
        found[name] = {
            "seconds": measured.seconds,
            "cpu_seconds": measured.cpu_seconds,
            "peak_memory_mb": round(measured.peak_memory_bytes / 1e6),
        }
        for part, cpu_seconds in measured.parts.items():
            found[f"  {part}"] = {"cpu_seconds": cpu_seconds}
    return found


def repeated(film: Path, times: int, folder: Path) -> Path:
    """Repeat the film `times` over in one file, its packets copied and shifted in time."""
    if times == 1:
        return film
    target = folder / f"{film.stem}_{times}_times{film.suffix}"
    length = seconds_of(film)
    with av.open(str(target), "w") as output:
        outputs = {}
        for turn in range(times):
            with av.open(str(film)) as source:
                streams = [*source.streams.video[:1], *source.streams.audio[:1]]
                for stream in streams:
                    if stream.index not in outputs:
                        outputs[stream.index] = output.add_stream_from_template(stream)
                for packet in source.demux(streams):
                    if packet.dts is None:
                        continue
                    shift = round(turn * length / packet.time_base)
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = outputs[packet.stream.index]
                    output.mux(packet)
    return target


def seconds_of(film: Path) -> float:
    """Return the length of a media file as its container gives it."""
    with av.open(str(film)) as container:
        return container.duration / av.time_base


def show(results: dict) -> None:
    """Print the rows as a table."""
    table = Table(
        "", "wall s", "CPU s", "CPU s per hour of video", "peak MB", title=results["film"]
    )
    for row in results["rows"]:
        table.add_row(
            row["what"],
            *(str(row.get(name, "")) for name in ("seconds", "cpu_seconds")),
            str(row["cpu_seconds_per_hour"]),
            str(row.get("peak_memory_mb", "")),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
