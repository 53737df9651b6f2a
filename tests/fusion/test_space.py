"""Compatible and incompatible fused spaces."""

from dataclasses import replace

import pytest

from mediafm_core.fusion.space import FusedSpace

SPACE = FusedSpace(
    {"video": "eyes-1@aa", "audio": "ears-1@bb"}, {"video": (0, 12), "audio": (12, 20)}, 6
)


def test_equal_spaces_are_compatible() -> None:
    details = {"encoders": SPACE.encoders, "ranges": {"audio": [12, 20], "video": [0, 12]}}
    assert SPACE.mismatch(replace(SPACE)) is None
    assert SPACE.mismatch(FusedSpace.from_record(details)) is None, "its width is not recorded"


@pytest.mark.parametrize(
    ("changes", "mismatch"),
    [
        (
            {"encoders": {**SPACE.encoders, "audio": "ears-2@dd"}},
            "audio encoder ears-1@bb against ears-2@dd",
        ),
        ({"encoders": {"video": "eyes-1@aa"}}, "audio encoder ears-1@bb against None"),
        (
            {"ranges": {"video": (0, 12), "audio": (12, 21)}},
            "audio columns (12, 20) against (12, 21)",
        ),
        ({"metadata_width": 7}, "metadata vectors of width 6 against 7"),
        (
            {"encoders": {"video": "eyes-2@aa"}, "ranges": {}, "metadata_width": 7},
            "audio encoder ears-1@bb against None",
        ),
    ],
)
def test_the_first_difference_is_named(changes: dict, mismatch: str) -> None:
    assert SPACE.mismatch(replace(SPACE, **changes)) == mismatch


def test_a_models_space_is_read_from_its_configuration() -> None:
    config = {
        "encoder_identities": SPACE.encoders,
        "fused_ranges": {"video": [0, 12], "audio": [12, 20]},
        "global_size": 6,
    }
    assert FusedSpace.from_config(config) == SPACE
