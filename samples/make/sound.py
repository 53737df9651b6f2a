"""Ambience, music and the final mix, synthesised with NumPy."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
"""Samples per second of everything here."""

Samples = NDArray[np.float32]


def noise(
    count: int, chance: np.random.Generator, low: float, high: float, slope: float = 0
) -> Samples:
    """Return noise between two frequencies (Hz), falling by `slope` (1: pink), at an RMS of 1."""
    spectrum = np.fft.rfft(chance.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    shape = 1 / (1 + (low / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high) ** 4)
    result = np.fft.irfft(spectrum * shape / np.maximum(frequency, 20) ** (slope / 2), count)
    return (result / result.std()).astype(np.float32)


def seconds(count: int) -> NDArray[np.float64]:
    """Return the time of each sample."""
    return np.arange(count) / RATE


def swell(count: int, period: float, depth: float, phase: float = 0) -> NDArray[np.float64]:
    """Return a slow rise and fall around 1."""
    return 1 + depth * np.sin(2 * np.pi * seconds(count) / period + phase)


def scatter(
    count: int, chance: np.random.Generator, every: float, event: Callable[[], NDArray[np.float64]]
) -> Samples:
    """Return events at random times, one `every` so many seconds on average."""
    result = np.zeros(count, np.float32)
    for _ in range(max(1, round(count / RATE / every))):
        sound = event()[:count]
        start = int(chance.integers(0, count - len(sound) + 1))
        result[start : start + len(sound)] += sound * chance.uniform(0.4, 1)
    return result


def sweep(length: float, first: float, last: float, decay: float) -> NDArray[np.float64]:
    """Return a tone gliding from one frequency to another and dying away."""
    t = seconds(round(length * RATE))
    frequency = first + (last - first) * t / length
    attack = np.minimum(t / 0.006, 1)
    return np.sin(2 * np.pi * np.cumsum(frequency) / RATE) * attack * np.exp(-t * decay)


def air(count: int, chance: np.random.Generator) -> Samples:
    """A quiet room."""
    return 0.012 * noise(count, chance, 60, 900, 1)


def wind(count: int, chance: np.random.Generator) -> Samples:
    """Wind with gusts."""
    gusts = swell(count, 3.1, 0.5) * swell(count, 1.3, 0.25, 1)
    return (0.055 * noise(count, chance, 120, 700, 1) * gusts).astype(np.float32)


def rain(count: int, chance: np.random.Generator) -> Samples:
    """Steady rain with nearer drops."""
    drops = scatter(count, chance, 0.05, lambda: sweep(0.03, chance.uniform(1800, 4200), 900, 160))
    return 0.075 * noise(count, chance, 900, 9000, 0.6) + 0.12 * drops


def city(count: int, chance: np.random.Generator) -> Samples:
    """Distant traffic and, now and then, a horn."""
    horn = scatter(count, chance, 4, lambda: sweep(0.35, 415, 412, 2) + sweep(0.35, 523, 520, 2))
    return 0.09 * noise(count, chance, 50, 380, 1.2) + 0.022 * horn


def birdsong(count: int, chance: np.random.Generator) -> Samples:
    """Morning birds over a breeze."""

    def chirp() -> NDArray[np.float64]:
        pitch = chance.uniform(2400, 4600)
        notes = [
            sweep(0.09, pitch * chance.uniform(0.9, 1.3), pitch * chance.uniform(0.7, 1.1), 14)
            for _ in range(int(chance.integers(2, 6)))
        ]
        return np.concatenate(notes)

    return 0.075 * scatter(count, chance, 0.7, chirp) + 0.4 * wind(count, chance)


def crickets(count: int, chance: np.random.Generator) -> Samples:
    """Crickets on a summer night."""
    t = seconds(count)
    pulses = (np.sin(2 * np.pi * 17 * t) > 0.1) * (np.sin(2 * np.pi * 1.4 * t) > -0.2)
    smooth = np.convolve(pulses, np.ones(200) / 200, "same")
    return (0.028 * smooth * np.sin(2 * np.pi * 4300 * t)).astype(np.float32) + 0.4 * wind(
        count, chance
    )


def waves(count: int, chance: np.random.Generator) -> Samples:
    """Water lapping at a shore, with gulls."""
    wash = 0.075 * noise(count, chance, 250, 2600, 1) * swell(count, 2.9, 0.65)
    gulls = scatter(count, chance, 2.2, lambda: sweep(0.32, 1500, 1050, 5))
    return (wash + 0.03 * gulls).astype(np.float32)


def steam(count: int, chance: np.random.Generator) -> Samples:
    """A steam engine's beat, its wheels and its whistle."""
    t = seconds(count)
    beat = np.exp(-((t * 4.4) % 1) * 5) * (0.75 + 0.25 * (np.floor(t * 4.4) % 4 == 0))
    chuff = 0.17 * noise(count, chance, 250, 3400, 0.8) * beat
    rail = 0.05 * noise(count, chance, 60, 240, 1)
    whistle = np.zeros(count)
    tone = np.sum([sweep(0.75, pitch, pitch * 1.01, 2.2) for pitch in (523, 659, 784)], axis=0)
    start = min(round(0.5 * RATE), max(count - len(tone), 0))
    whistle[start : start + len(tone)] = tone[: count - start]
    return (chuff + rail + 0.035 * whistle).astype(np.float32)


def rocket(count: int, chance: np.random.Generator) -> Samples:
    """A launch from a safe distance."""
    rise = np.minimum(seconds(count) / 0.6, 1) * swell(count, 0.31, 0.12)
    crackle = noise(count, chance, 400, 3000, 0.5) * (noise(count, chance, 2, 40) > 1.2)
    return ((0.24 * noise(count, chance, 35, 420, 1.2) + 0.07 * crackle) * rise).astype(np.float32)


def hum(count: int, chance: np.random.Generator) -> Samples:
    """Fans and pumps of a space station."""
    t = seconds(count)
    motors = sum(
        np.sin(2 * np.pi * pitch * t) / n for n, pitch in enumerate((98, 147, 196.5, 294), 1)
    )
    beeps = scatter(count, chance, 1.9, lambda: sweep(0.07, 1320, 1320, 18))
    return (0.02 * motors + 0.035 * noise(count, chance, 150, 1500, 1) + 0.028 * beeps).astype(
        np.float32
    )


def space(count: int, chance: np.random.Generator) -> Samples:
    """A slow drone, the sound of outer space in films."""
    t = seconds(count)
    drone = sum(np.sin(2 * np.pi * pitch * t + pitch) for pitch in (55, 55.4, 82.6, 110.3))
    return (
        0.03 * drone * swell(count, 4.3, 0.4) + 0.012 * noise(count, chance, 300, 2200, 1)
    ).astype(np.float32)


def static(count: int, chance: np.random.Generator) -> Samples:
    """A receiver with nothing but hiss and crackle."""
    clicks = scatter(count, chance, 0.12, lambda: sweep(0.006, 3000, 1200, 500))
    fans = 0.02 * noise(count, chance, 100, 800, 1)
    return 0.03 * noise(count, chance, 700, 5200) * swell(count, 0.9, 0.4) + 0.16 * clicks + fans


def signal(count: int, chance: np.random.Generator) -> Samples:
    """The receiver with the signal in it: three rising notes, again and again."""
    notes = np.concatenate([sweep(0.14, pitch, pitch, 9) for pitch in (660, 880, 1320)])
    result = 0.55 * static(count, chance)
    for start in range(round(0.2 * RATE), count - len(notes), round(1.1 * RATE)):
        result[start : start + len(notes)] += 0.12 * notes
    return result.astype(np.float32)


def purr(count: int, chance: np.random.Generator) -> Samples:
    """A contented cat."""
    t = seconds(count)
    breath = 0.6 + 0.4 * np.sin(2 * np.pi * t / 1.7)
    throb = 0.5 + 0.5 * np.sin(2 * np.pi * 25 * t)
    return (0.13 * noise(count, chance, 70, 420, 1) * breath * throb).astype(np.float32)


Ambience = Callable[[int, np.random.Generator], Samples]

AMBIENCES: dict[str, Ambience] = {
    sound.__name__: sound
    for sound in (
        air,
        wind,
        rain,
        city,
        birdsong,
        crickets,
        waves,
        steam,
        rocket,
        hum,
        space,
        static,
        signal,
        purr,
    )
}

MUSIC: dict[str, tuple[float, tuple[tuple[int, ...], ...], str]] = {
    # seconds a bar, chords as MIDI notes, what plays over the pad
    "wonder": (
        3.2,
        ((50, 57, 62, 66, 69), (47, 54, 62, 66, 71), (43, 55, 59, 62, 67), (45, 57, 61, 64, 69)),
        "bells",
    ),
    "evening": (
        2.4,
        ((48, 55, 60, 63, 67), (44, 56, 60, 63, 68), (51, 55, 58, 63, 67), (46, 53, 58, 62, 65)),
        "keys",
    ),
    "mystery": (
        3.6,
        ((45, 52, 57, 60, 64), (41, 53, 57, 60, 65), (38, 50, 57, 62, 65), (40, 52, 56, 59, 64)),
        "bells",
    ),
    "journey": (
        2.0,
        ((43, 50, 59, 62, 67), (48, 55, 60, 64, 67), (45, 52, 60, 64, 69), (50, 54, 57, 62, 66)),
        "plucks",
    ),
}


def note(
    pitch: int, length: float, harmonics: Sequence[float], attack: float, decay: float
) -> NDArray[np.float64]:
    """Return one note: a sum of harmonics under an envelope."""
    t = seconds(round(length * RATE))
    base = 440 * 2 ** ((pitch - 69) / 12)
    tone = sum(
        level * np.sin(2 * np.pi * base * n * t + 0.7 * n) for n, level in enumerate(harmonics, 1)
    )
    release = np.minimum((length - t) / min(0.3, length / 2), 1)
    return tone * np.minimum(t / attack, 1) * np.exp(-t * decay) * release


def music(name: str, count: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """Return a stereo score of `count` samples: pad, arpeggio and, for a journey, percussion."""
    bar, chords, lead = MUSIC[name]
    score = np.zeros((2, count + round((bar + 2) * RATE)))

    def add(start: float, sound: NDArray[np.floating], level: float, pan: float = 0.5) -> None:
        first = round(start * RATE)
        length = min(len(sound), score.shape[1] - first)
        score[0, first : first + length] += level * (1 - pan) * sound[:length]
        score[1, first : first + length] += level * pan * sound[:length]

    voices = {
        "bells": ((1, 0, 0.5, 0.22), 2.4),
        "keys": ((1, 0.4, 0.12), 3.0),
        "plucks": ((1, 0.6, 0.4, 0.25, 0.1), 5.0),
    }
    harmonics, decay = voices[lead]
    steps = 8
    for index in range(int(count / RATE / bar) + 1):
        chord = chords[index % len(chords)]
        for voice, pitch in enumerate(chord):
            pad = note(pitch, bar + 0.6, (1, 0.45, 0.2, 0.1), 0.7, 0.12)
            add(index * bar, pad, 0.045, 0.3 + 0.4 * voice / len(chord))
        add(index * bar, note(chord[0] - 12, bar, (1, 0.3), 0.03, 0.8), 0.12)
        for step in range(steps):
            if chance.random() < 0.28:
                continue
            pitch = chord[int(chance.integers(1, len(chord)))] + 12
            add(
                index * bar + step * bar / steps,
                note(pitch, 1.3, harmonics, 0.004, decay),
                0.07,
                chance.uniform(0.2, 0.8),
            )
        if lead == "plucks":
            for step in range(steps):
                tick = noise(round(0.06 * RATE), chance, 3000, 9000) * np.exp(
                    -seconds(round(0.06 * RATE)) * 70
                )
                add(index * bar + step * bar / steps, tick, 0.03 if step % 2 else 0.015)
                if step % 4 == 0:
                    add(index * bar + step * bar / steps, sweep(0.16, 120, 50, 18), 0.22)
    return score[:, :count].astype(np.float32)


def ambience_track(names: Sequence[str], bounds: Sequence[int], seed: int) -> Samples:
    """Mix each shot's ambience between its bounds (samples), blended over a tenth of a second."""
    blend = RATE // 20
    track = np.zeros(bounds[-1], np.float32)
    for index, name in enumerate(names):
        first, last = max(bounds[index] - blend, 0), min(bounds[index + 1] + blend, bounds[-1])
        # The same place sounds the same each time the film comes back to it, but is not a loop.
        chance = np.random.default_rng([seed, index])
        sound = AMBIENCES[name](last - first, chance)
        ramp = np.minimum(np.arange(1, last - first + 1) / (2 * blend), 1)
        track[first:last] += sound * np.minimum(ramp, ramp[::-1])
    return track


def mixdown(ambience: Samples, score: NDArray[np.float32], voice: Samples) -> NDArray[np.float32]:
    """Return the stereo mix: ambience and score are quieter under speech, ends are faded."""
    window = np.hanning(round(0.5 * RATE))
    spoken = np.abs(voice) > 0.01
    presence = np.fft.irfft(
        np.fft.rfft(spoken, len(voice) + len(window))
        * np.fft.rfft(window / window.sum(), len(voice) + len(window)),
        len(voice) + len(window),
    )[len(window) // 2 :][: len(voice)]
    duck = 1 - 0.6 * np.clip(presence * 1.6, 0, 1)
    mix = (ambience + 0.75 * score) * duck + 0.62 * voice
    edge = np.minimum(np.arange(1, mix.shape[1] + 1) / (0.8 * RATE), 1)
    mix = mix * edge * edge[::-1]
    return (0.92 * mix / np.abs(mix).max()).astype(np.float32)
