"""Recorded moments and a clock that may have been set back since."""

SKEW_S = 60.0  # by which clocks of machines that share a store may differ


def is_ahead(moment_s: float, now_s: float) -> bool:
    """Return True if a recorded moment is in the future, by more than clocks differ.

    The clock was set back after the moment was recorded, or the moment was made up (`touch -d`).
    How long ago it was is unknown: nothing may wait for the clock to come there.

    Args:
        moment_s: seconds since the epoch.
        now_s: likewise, by this machine's clock.
    """
    return moment_s > now_s + SKEW_S
