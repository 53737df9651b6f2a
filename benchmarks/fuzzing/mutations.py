"""Mutations of bytes, texts and JSON documents, each drawn from a seeded generator.

A mutation returns the new content and its name. Numbers are replaced by the extremes that parsers
meet: zero, minus one, the ends of each integer type, infinities, and numbers of many digits.
"""

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""Takes a generator, the content, and the contents of other inputs of the kind."""

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
WIDE_EXTREMES = (*EXTREMES, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS = (
    *("0", "-1", "-0.0", "1e308", "-1e308", "1e-320", "1e999", "NaN", "Infinity", "0.1"),
    *("2147483648", "9223372036854775808", "1" * 400, "0x10", "1_000", "٣", ""),
)
_MOST_BYTES = 4 << 20  # a mutated input is never larger


def flip_bits(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Flip one to sixteen bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_bits_of_the_beginning(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Flip bits among the first bytes, where the headers are."""
    head = min(len(data), rng.choice((16, 64, 512)))
    return flip_bits(rng, data[:head], others) + data[head:]


def flip_bits_of_the_end(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Flip bits among the last bytes, where indexes and footers are."""
    tail = max(0, len(data) - rng.choice((16, 64, 512)))
    return data[:tail] + flip_bits(rng, data[tail:], others)


def swap_bytes(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Swap two blocks of equal size."""
    size = rng.choice((1, 2, 4, 16, 188))
    if len(data) < 2 * size:
        return data[::-1]
    one, other = sorted(rng.sample(range(0, len(data) - size + 1), 2))
    other = max(other, one + size)
    middle, first, second = (
        data[one + size : other],
        data[one : one + size],
        data[other : other + size],
    )
    return data[:one] + second + middle + first + data[other + size :]


def truncate(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Keep the beginning."""
    return data[: rng.choice((0, 1, 7, rng.randrange(len(data) + 1), max(0, len(data) - 1)))]


def behead(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Keep the end."""
    return data[rng.randrange(len(data) + 1) :]


def remove_block(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Remove a block from the middle."""
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 4, 100, 1000)) :]


def duplicate_block(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Repeat a block, once or many times."""
    start = rng.randrange(len(data) + 1)
    block = data[start : start + rng.choice((1, 8, 200, 4000))]
    return data[:start] + block * rng.choice((2, 3, 50)) + data[start + len(block) :]


def overwrite_block(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Overwrite a block by zeros, ones or noise."""
    size = rng.choice((1, 4, 64, 1024))
    start = rng.randrange(len(data) + 1)
    block = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    return data[:start] + block + data[start + size :]


def splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Continue with the end of another input."""
    other = rng.choice(list(others) or [data])
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def extreme_integer(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Write an extreme integer of one to eight bytes, where a length may be."""
    width = rng.choice((1, 2, 3, 4, 4, 8))
    value = rng.choice(WIDE_EXTREMES) & ((1 << (8 * width)) - 1)
    start = rng.randrange(len(data) + 1)
    return (
        data[:start] + value.to_bytes(width, rng.choice(("big", "little"))) + data[start + width :]
    )


BYTES: tuple[Mutation, ...] = (
    *(flip_bits, flip_bits, flip_bits_of_the_beginning, flip_bits_of_the_end, swap_bytes),
    *(truncate, behead, remove_block, duplicate_block, overwrite_block, splice, extreme_integer),
)

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")


def extreme_number(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Replace a number of a text."""
    text = data.decode("latin-1")
    found = list(_NUMBER.finditer(text))
    if not found:
        return data
    where = rng.choice(found)
    number = rng.choice(NUMBERS).encode().decode("latin-1")
    return (text[: where.start()] + number + text[where.end() :]).encode("latin-1")


def repeat_line(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Repeat, remove or move lines."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        lines[place:place] = [lines[place]] * rng.choice((1, 10, 1000))
    elif way == 1:
        del lines[place]
    elif way == 2:
        lines.insert(rng.randrange(len(lines) + 1), lines.pop(place))
    else:
        lines[place] *= rng.choice((2, 1000))
    return b"\n".join(lines)


_PIECES = (
    *("\0", "\x1b[2J", "\u202e", "\ufeff", "\r", "\u2028", "😀", "\ud800", "{", "}", "[", "]"),
    *("<", ">", "&amp;", "&#x0;", "&#99999999999;", "<script>alert(1)</script>", "{\\an8}", "\\N"),
    *('"', "'", ",", ";", "=", "-->", "00:00:01,000 --> 00:00:02,000", "NOTE", "STYLE", "../" * 9),
    *("%s%n", "$(id)", "file:///etc/passwd", "http://127.0.0.1:9/", "|", "\t", "null"),
)


def insert_piece(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Insert characters that have a meaning for some parser, once or thousands of times."""
    start = rng.randrange(len(data) + 1)
    piece = rng.choice(_PIECES).encode("utf-8", "surrogatepass") * rng.choice(
        (1, 1, 3, 1000, 100_000)
    )
    return data[:start] + piece[:_MOST_BYTES] + data[start:]


_ENCODINGS = (
    *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1251", "cp1252", "latin-1", "shift_jis"),
    *("gb18030", "big5", "euc_kr", "koi8_r", "cp437", "utf-7", "utf-8-sig"),
)


def other_encoding(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Write the text in another encoding."""
    return data.decode("utf-8", "replace").encode(rng.choice(_ENCODINGS), "replace")


TEXT: tuple[Mutation, ...] = (
    *(extreme_number, extreme_number, repeat_line, insert_piece, insert_piece, other_encoding),
    *(flip_bits, truncate, duplicate_block, splice, overwrite_block),
)


def mutate_json(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Replace, remove, add, nest or rename a value somewhere in a JSON document."""
    document = json.loads(data)
    places = list(_places(document))
    container, key = rng.choice(places)
    way = rng.randrange(7)
    if way == 0:
        del container[key]
    elif way == 1 and isinstance(container, dict):
        container[rng.choice(("extra", "", "__class__", "a" * 1000, "\0"))] = _json_value(rng)
    elif way == 2 and isinstance(container, dict):
        container[key + rng.choice(("s", " ", "\u200b"))] = container.pop(key)
    elif way == 3:
        text = json.dumps(document)
        depth = rng.choice((10, 1000, 100_000))
        opened, closed = rng.choice((("[", "]"), ('{"a":', "}")))
        return text.replace(
            json.dumps(container[key]), opened * depth + "0" + closed * depth, 1
        ).encode()
    elif way == 4 and isinstance(container, dict):
        return (json.dumps(document)[:-1] + f", {json.dumps(key)}: {_raw(rng)}}}").encode()
    elif way == 5:
        return json.dumps(document).replace(json.dumps(container[key]), _raw(rng), 1).encode()
    else:
        container[key] = _json_value(rng)
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(items):
        yield value, key
        if isinstance(each, dict | list) and each:
            yield from _places(each)


def _raw(rng: Random) -> str:
    return rng.choice((*(number or '""' for number in NUMBERS), "true", "{}", "[]", '"\\ud800"'))


def _json_value(rng: Random) -> Any:
    return rng.choice(
        (
            *(
                None,
                True,
                False,
                "",
                "x",
                "x" * 100_000,
                "\0",
                "../../etc/passwd",
                "\u202e",
                [],
                {},
            ),
            *([[]] * 1000, [0] * 100_000, -1, 0, 2**31, 2**63, 10**300, 1e308, -0.5, "1", "😀"),
            *(float("nan"), float("inf"), {"a": {"b": []}}, "<img src=x onerror=alert(1)>"),
        )
    )


JSON: tuple[Mutation, ...] = (
    *(mutate_json,) * 8,
    *(extreme_number, flip_bits, truncate, insert_piece, other_encoding, duplicate_block),
)


class Sound(Random):
    """Random generator that marks an input as sound: `mutate` changes nothing in it."""


def mutate(
    rng: Random, data: bytes, others: Sequence[bytes], mutations: Sequence[Mutation]
) -> tuple[bytes, str]:
    """Apply one to three mutations; returns the new content and their names."""
    names: list[str] = []
    if isinstance(rng, Sound):
        return data, "none"
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(mutations)
        if mutation is mutate_json and names:
            continue  # after another mutation it may be no JSON
        data = mutation(rng, data, others)[:_MOST_BYTES]
        names.append(mutation.__name__)
    return data, "+".join(names)
