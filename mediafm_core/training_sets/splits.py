"""Splits of whole titles, because similar clips of one title would leak between splits."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mediafm_core.errors import MediaFMError

_TOLERANCE = 1e-6  # of the sum of shares, for rounding


def parse_shares(text: str) -> dict[str, float]:
    """Parse shares such as `train=0.8,test=0.2`.

    Raises:
        MediaFMError: The text has another form.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        try:
            share = float(value)
        except ValueError:
            share = math.nan
        if not (name and separator and math.isfinite(share)) or name in shares:
            raise MediaFMError(f"Splits {text!r}: write each once as train=0.8,test=0.2.")
        shares[name] = share
    return check_shares(shares)


def check_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Check the shares of titles in each split, and return them.

    Raises:
        MediaFMError: A share is not above zero, a split has no name, or the sum is not one.
    """
    if not shares or min(shares.values()) <= 0 or not all(shares):
        raise MediaFMError(f"Splits {_text(shares)}: every split has a name and a share above 0.")
    if abs(sum(shares.values()) - 1) > _TOLERANCE:
        raise MediaFMError(
            f"Splits {_text(shares)}: the shares sum to {sum(shares.values()):g}, not to 1."
        )
    return dict(shares)


def split_titles(titles: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Assign each title to a split.

    Titles are sorted by a digest of seed and id, and cut by the shares. So an added title moves few
    others to another split: only those next to a cut.

    Args:
        titles: Title ids, each once, in any order.
        shares: Shares of titles in each split, which sum to one; each split gets at least one
            title.
        seed: Seed of the order of titles.

    Returns:
        The split of each title.

    Raises:
        MediaFMError: There are fewer titles than splits.
    """
    if len(titles) < len(shares):
        raise MediaFMError(
            f"{len(titles)} labelled title{'s' * (len(titles) != 1)} cannot be kept whole in "
            f"{len(shares)} splits: label more titles, or make fewer splits."
        )
    drawn = sorted(titles, key=lambda title: hashlib.sha256(f"{seed}\0{title}".encode()).digest())
    stops = np.rint(np.cumsum(list(shares.values())) * len(drawn)).astype(int)
    stops[-1] = len(drawn)
    places = np.arange(len(stops))
    # At least one title for each split: first for splits before a cut, then for those after it.
    stops = np.maximum.accumulate(np.maximum(stops, places + 1) - places) + places
    stops = np.minimum(stops, len(drawn) - (len(stops) - 1 - places))
    place_of = np.searchsorted(stops, np.arange(len(drawn)), side="right")
    names = list(shares)
    return {title: names[split] for title, split in zip(drawn, place_of, strict=True)}


def _text(shares: Mapping[str, float]) -> str:
    return ",".join(f"{name}={share:g}" for name, share in shares.items()) or "''"
