"""Sound inputs of every kind, made once: the mutations start from them."""

import json
import shutil
import subprocess
from pathlib import Path

TITLE = "film"
MEDIA = ("mp4", "mkv", "webm", "ts", "flv", "mpg", "avi", "mov")
CAPTIONS = ("srt", "vtt", "ass")
SECRET = "canary"  # the name, without suffix, of the files outside

_CODECS = {
    "mp4": "-c:v libx264 -c:a aac -c:s mov_text",
    "mkv": "-c:v libx264 -c:a libvorbis -c:s srt",
    "webm": "-c:v libvpx -c:a libopus -c:s webvtt",
    "ts": "-c:v mpeg2video -c:a mp2 -sn",
    "flv": "-c:v flv -ar 22050 -c:a mp3 -sn",
    "mpg": "-c:v mpeg1video -r 25 -c:a mp2 -sn",
    "avi": "-c:v mpeg4 -c:a mp3 -sn",
    "mov": "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le -c:s mov_text",
}
_SRT = """1
00:00:00,100 --> 00:00:00,600
Hello <i>there</i>, {\\an8}you & me.

2
00:00:00,700 --> 00:00:01,100
- It costs 5 < 6.
- Ça va?
"""
_VTT = """WEBVTT - a file

STYLE
::cue { color: white }

NOTE a comment

one
00:00.100 --> 00:00.600 align:start position:10%
<v Anna>Hello &amp; good <i>day</i>

00:00:00.700 --> 00:00:01.100
<00:00:00.800>word by <b>word</b>
"""
_ASS = """[Script Info]
ScriptType: v4.00+
PlayResX: 64

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold
Style: Default,Arial,20,&H00FFFFFF,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.10,0:00:00.60,Default,,0,0,0,,{\\pos(1,2)}Hello\\Nthere
Comment: 0,0:00:00.10,0:00:00.60,Default,,0,0,0,,not shown
Dialogue: 0,0:00:00.70,0:00:01.10,Default,,0,0,0,,{\\k20}ka{\\k30}ra{\\p1}m 0 0 l 1 1{\\p0}o
"""
TEXTS = {"srt": _SRT, "vtt": _VTT, "ass": _ASS}
MANIFEST = {
    "title_id": TITLE,
    "name": "A Film",
    "kind": "short",
    "language": "en",
    "synopsis": "An abacus and a cab.",
    "tags": ["space", "coffee"],
}
CLIPS = "clip_id,start_s,end_s,mood,score\na,0,0.5,calm,1\nb,0.3,1.1,tense,0.5\nc,0.2,0.9,,\n"
SETTINGS = """profile = "embedded"
device = "cpu"
threads = 1

[shots]
threshold = 0.5

[keyframes]
per_shot = 3
jpeg_quality = 90

[video]
batch_size = 16

[model]
hidden = 32
layers = 1
heads = 2
dropout = 0.0

[training]
steps = 4
muon_learning_rate = 1e-3
optimiser = "muon"

[publishing]
failed_titles = "drop"
grace_s = 86400.0

[alerts]
target = "none"
command = ["notify", "--loud"]

[s3]
endpoint_url = "http://127.0.0.1:9"
"""


class Corpus:
    """The sound inputs in a folder.

    Args:
        folder: kept by the caller; filled by `make`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def catalogue(self) -> Path:
        """Folder of an inbox with one title, complete with captions and clips, and of its store."""
        return self.folder / "catalogue"

    def media(self, suffix: str) -> bytes:
        """Return a film of 1.2 seconds with sound and, where the container allows, subtitles."""
        return (self.folder / f"media.{suffix}").read_bytes()

    def make(self) -> None:
        """Make all inputs."""
        from benchmarks.quick_catalogue import QuickPlatform, ingest, settings_for
        from mediafm_core.model.model_files import DIGESTS, TRAINING_FILE, read_json
        from mediafm_core.pipeline.quarantine import Quarantine

        (self.folder / "captions.srt").write_text(_SRT)
        for suffix in MEDIA:
            _film(self.folder / f"media.{suffix}", self.folder / "captions.srt", _CODECS[suffix])
        title = self.catalogue / "inbox" / TITLE
        title.mkdir(parents=True)
        shutil.copy(self.folder / "media.mp4", title)
        (title / "film.en.srt").write_text(_SRT)
        (title / "clips.csv").write_text(CLIPS)
        (title / "title.json").write_text(json.dumps(MANIFEST))
        platform = QuickPlatform(settings_for(title.parent, self.catalogue / "store"))
        sentence = ingest(platform)
        if sentence or list(Quarantine(platform.store)):
            raise SystemExit(f"The sound title is not ingested. {sentence}")
        for folder in platform.store.models.iterdir():
            record = read_json(folder, TRAINING_FILE)
            del record[DIGESTS]  # an attacker who alters a model alters its digests too
            (folder / TRAINING_FILE).write_text(json.dumps(record))


def _film(target: Path, captions: Path, codecs: str) -> None:
    """Write two shots, 64 pixels wide, by the program of the package imageio-ffmpeg."""
    import imageio_ffmpeg

    shots = "testsrc2=s=64x48:r=10:d=0.6[a];mandelbrot=s=64x48:r=10,trim=duration=0.6[b]"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", captions),
            *("-filter_complex", f"{shots};[a][b]concat=n=2,format=yuv420p[v];sine=d=1.2[s]"),
            *("-map", "[v]", "-map", "[s]", "-map", "0:s", "-g", "5", "-b:v", "60k", "-b:a", "32k"),
            *(*codecs.split(), "-metadata", "title=A film", "-t", "1.2", target),
        ],
        check=True,
    )
