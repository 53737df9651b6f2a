"""A film as a list of shots and lines of dialogue, and its frames.

Where a shot begins. A hard cut is plain. In a dissolve of n frames the old shot still shows
through n frames, and the new shot is counted from the first frame that is wholly its own: the
frame where the dissolve ends, as in the Open Video Scene Detection data set. A fade to black
belongs to the shot that is fading.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import skia

from .drawing import HEIGHT, WIDTH, Scene, ease, shade


@dataclass(frozen=True)
class Shot:
    """One shot of the storyboard.

    Attributes:
        seconds: until the next shot starts.
        scene: picture of every moment.
        dissolve: frames in which this shot shines through the end of the one before; 0 cuts.
        ambience: name of the sounds of the place, see `sound.AMBIENCES`.
        fade_out: frames to black at the shot's end.
    """

    seconds: float
    scene: Scene
    ambience: str = "air"
    dissolve: int = 0
    fade_out: int = 0


@dataclass(frozen=True)
class Line:
    """A spoken line: its speaker, its shot (from 0) and its start in the shot, in seconds."""

    shot: int
    offset: float
    speaker: str
    text: str


@dataclass(frozen=True)
class Clip:
    """An excerpt from the start of shot `first` to the end of shot `last`, and its labels."""

    clip_id: str
    first: int
    last: int
    labels: dict[str, str]


@dataclass(frozen=True)
class Film:
    """A storyboard and the metadata of its title folder."""

    title_id: str
    name: str
    synopsis: str
    tags: tuple[str, ...]
    credit: str
    rate: Fraction
    shots: tuple[Shot, ...]
    lines: tuple[Line, ...]
    music: str
    clips: tuple[Clip, ...] = ()
    container: str = "mp4"
    captions: str = ""
    """`vtt`, `srt` or nothing."""
    seed: int = 1
    starts: tuple[int, ...] = field(init=False)
    """First frame of each shot, then the number of frames in the film."""

    def __post_init__(self) -> None:
        starts = [0]
        for shot in self.shots:
            starts.append(starts[-1] + round(shot.seconds * self.rate))
        object.__setattr__(self, "starts", tuple(starts))

    def seconds_at(self, frame: int) -> float:
        """Return the time of a frame's start."""
        return float(frame / self.rate)

    @property
    def seconds(self) -> float:
        """Length of the film."""
        return self.seconds_at(self.starts[-1])

    def frames(self) -> Iterator[np.ndarray]:
        """Yield every picture in turn: uint8, 360 x 640 x 3."""
        surface = skia.Surface(WIDTH, HEIGHT)
        for index in range(len(self.shots)):
            for frame in range(self.starts[index], self.starts[index + 1]):
                yield self.picture(surface, index, frame)

    def picture(self, surface: skia.Surface, index: int, frame: int) -> np.ndarray:
        """Draw the picture of one frame, which lies in shot `index`."""
        canvas = surface.getCanvas()
        self._draw(canvas, index, frame)
        end = self.starts[index + 1]
        following = self.shots[index + 1].dissolve if index + 1 < len(self.shots) else 0
        into_dissolve = frame - (end - following) + 1
        if into_dissolve > 0:
            share = into_dissolve / (following + 1)
            canvas.saveLayerAlpha(None, round(255 * share))
            self._draw(canvas, index + 1, frame)
            canvas.restore()
        shot = self.shots[index]
        if shot.fade_out:
            shade(canvas, "#000000", ease(1 - (end - 1 - frame) / shot.fade_out))
        return np.ascontiguousarray(surface.toarray(colorType=skia.kRGBA_8888_ColorType)[..., :3])

    def _draw(self, canvas: skia.Canvas, index: int, frame: int) -> None:
        shot, start, end = self.shots[index], self.starts[index], self.starts[index + 1]
        progress = (frame - start + shot.dissolve) / (end - 1 - start + shot.dissolve)
        canvas.save()
        shot.scene(canvas, float((frame - start) / self.rate), progress)
        canvas.restore()

    def manifest(self) -> str:
        """Return the contents of `title.json`."""
        record = {
            "title_id": self.title_id,
            "name": self.name,
            "kind": "short",
            "language": "en",
            "synopsis": self.synopsis,
            "tags": list(self.tags),
            "credit": self.credit,
        }
        return json.dumps(record, indent=2, ensure_ascii=False) + "\n"

    def shot_table(self) -> str:
        """Return the contents of `shots.csv`: true boundaries from 0, the last frame inclusive."""
        rows = ["start_frame,end_frame,transition,transition_frames"]
        for shot, start, end in zip(self.shots, self.starts, self.starts[1:], strict=False):
            kind = "start" if start == 0 else "dissolve" if shot.dissolve else "cut"
            rows.append(f"{start},{end - 1},{kind},{shot.dissolve}")
        return "\n".join(rows) + "\n"

    def clip_table(self) -> str:
        """Return the contents of `clips.csv`."""
        names = list(self.clips[0].labels)
        rows = [",".join(["clip_id", "start_s", "end_s", *names])]
        for clip in self.clips:
            start, end = self.starts[clip.first], self.starts[clip.last + 1]
            times = [f"{self.seconds_at(frame):.3f}" for frame in (start, end)]
            rows.append(",".join([clip.clip_id, *times, *(clip.labels[name] for name in names)]))
        return "\n".join(rows) + "\n"
