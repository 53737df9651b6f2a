"""Mutations that follow the structure of a container: boxes, elements, packets, tags, chunks.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 (EBML), ISO/IEC 13818-1 (transport stream, PES), Adobe
Flash Video 10.1 (tags), Microsoft AVI RIFF (chunks).
"""

import re
import struct
from collections.abc import Sequence
from random import Random

from benchmarks.fuzzing.mutations import EXTREMES, WIDE_EXTREMES, Mutation

_BOX_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"mvex"}
_PACKET = 188


def box(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Change a box of MP4 or MOV: its size, its type, its numbers; or repeat or drop it."""
    found = list(_boxes(data, 0, len(data)))
    if not found:
        return data
    start, size, kind = rng.choice(found)
    whole = data[start : start + size]
    way = rng.randrange(6)
    if way == 0:
        whole = struct.pack(">I", rng.choice(EXTREMES)) + whole[4:]
    elif way == 1:
        other = rng.choice(found)[2]
        whole = whole[:4] + rng.choice((other, b"free", rng.randbytes(4))) + whole[8:]
    elif way == 2:
        whole *= 2
    elif way == 3:
        whole = b""
    elif way == 4 and size >= 16:  # 64-bit size
        huge = rng.choice(WIDE_EXTREMES)
        whole = struct.pack(">I", 1) + kind + struct.pack(">Q", huge) + whole[8:]
    elif size >= 12:  # a number of a table: counts, durations, sizes, offsets
        place = 8 + 4 * rng.randrange((size - 8) // 4)
        whole = whole[:place] + struct.pack(">I", rng.choice(EXTREMES)) + whole[place + 4 :]
    return data[:start] + whole + data[start + size :]


def _boxes(data: bytes, start: int, stop: int) -> list[tuple[int, int, bytes]]:
    found = []
    while start + 8 <= stop:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if size < 8 or start + size > stop:
            break
        found.append((start, size, kind))
        if kind in _BOX_PARENTS:
            found += _boxes(data, start + 8, start + size)
        start += size
    return found


# Identifiers of elements whose sizes or values matter to readers.
_ELEMENTS = [
    bytes.fromhex(text)
    for text in (
        *("1a45dfa3", "18538067", "1549a966", "1654ae6b", "ae", "e0", "e1", "1f43b675", "e7"),
        *("a3", "a0", "a1", "9b", "1c53bb6b", "114d9b74", "4489", "2ad7b1", "b0", "ba", "63a2"),
        *("b5", "9f", "23e383", "86", "d7", "83", "53c0", "6d80", "73a4", "3eb923"),
    )
]


def element(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Change the size or the value of an EBML element of Matroska or WebM."""
    identifier = rng.choice(_ELEMENTS)
    places = [found.start() for found in re.finditer(re.escape(identifier), data)]
    if not places:
        return data
    size_at = rng.choice(places) + len(identifier)
    if size_at >= len(data):
        return data
    width = next((n for n in range(1, 9) if data[size_at] >> (8 - n) & 1), 1)
    if rng.random() < 0.5:
        value = rng.choice((*WIDE_EXTREMES, (1 << 7 * width) - 1))
        value = min(value, (1 << 7 * width) - 1) | 1 << 7 * width
        return data[:size_at] + value.to_bytes(width, "big") + data[size_at + width :]
    size = int.from_bytes(data[size_at : size_at + width], "big") & ((1 << 7 * width) - 1)
    size = min(size, 8)
    value = rng.choice(WIDE_EXTREMES) & ((1 << 8 * size) - 1)
    start = size_at + width
    return data[:start] + value.to_bytes(size, "big") + data[start + size :]


def packet(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Change packets of a transport stream: header, adaptation field, clock, order."""
    packets = [data[at : at + _PACKET] for at in range(0, len(data), _PACKET)]
    if not packets:
        return data
    place = rng.randrange(len(packets))
    chosen = bytearray(packets[place])
    way = rng.randrange(7)
    if way == 0 and len(chosen) > 4:
        chosen[rng.randrange(4)] ^= 1 << rng.randrange(8)
    elif way == 1 and len(chosen) > 12:
        chosen[3] |= 0x20
        chosen[4] = rng.choice((0, 1, 7, 183, 255))
        chosen[5] = rng.choice((0x10, 0x80, 0xFF))
        chosen[6:12] = rng.randbytes(6)
    elif way == 2:
        packets[place:place] = packets[place : place + rng.choice((1, 20, 400))]
        return b"".join(packets)
    elif way == 3:
        rng.shuffle(packets)
        return b"".join(packets)
    elif way == 4:
        del packets[place : place + rng.choice((1, 5, 50))]
        return b"".join(packets)
    elif way == 5 and len(chosen) > 40:  # times of a PES header
        begins = bytes(chosen).find(b"\x00\x00\x01")
        if begins >= 0 and begins + 14 < len(chosen):
            chosen[begins + 9 : begins + 14] = rng.choice(
                (bytes(5), b"\xff" * 5, b"\x2f\xff\xff\xff\xff", rng.randbytes(5))
            )
    else:
        chosen = bytearray(rng.randbytes(len(chosen)))
    packets[place] = bytes(chosen)
    return b"".join(packets)


def tag(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Change a tag of Flash Video: its type, size, time or content."""
    places, at = [], 13
    while at + 11 <= len(data):
        places.append(at)
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
    if not places:
        return data
    at = rng.choice(places)
    field, width = rng.choice(((0, 1), (1, 3), (4, 3), (7, 1), (8, 3), (11, 1), (12, 1), (13, 3)))
    value = rng.choice(EXTREMES) & ((1 << 8 * width) - 1)
    return data[: at + field] + value.to_bytes(width, "big") + data[at + field + width :]


def chunk(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Change the size of a chunk of AVI, or a number of its headers."""
    names = rb"RIFF|LIST|avih|strh|strf|movi|idx1|00dc|01wb|hdrl|JUNK|indx"
    places = [found.start() for found in re.finditer(names, data)]
    if not places:
        return data
    at = rng.choice(places) + 4 * rng.choice((1, 1, 2, 3, 4, 5, 8, 9))
    return data[:at] + struct.pack("<I", rng.choice(EXTREMES)) + data[at + 4 :]


def pes(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Change the bytes after a start code of MPEG: packet lengths, clocks, sequence headers."""
    places = [found.start() for found in re.finditer(b"\x00\x00\x01[\xb0-\xff]", data)]
    if not places:
        return data
    at = rng.choice(places) + rng.choice((3, 4, 4, 5, 6, 8, 9))
    width = rng.choice((1, 2, 5))
    value = rng.choice(WIDE_EXTREMES) & ((1 << 8 * width) - 1)
    return data[:at] + value.to_bytes(width, "big") + data[at + width :]


OF_SUFFIX: dict[str, Mutation] = {
    **dict.fromkeys(("mp4", "mov"), box),
    **dict.fromkeys(("mkv", "webm"), element),
    "ts": packet,
    "flv": tag,
    "avi": chunk,
    "mpg": pes,
}
