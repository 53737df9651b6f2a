"""The scaling curve: its training titles, and its picture."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.scaling_curve import Size, held_out, parse_counts, parse_sizes
from benchmarks.scaling_figures import Point, draw
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.results import Difference, Result


def test_numbers_above_the_pool_are_left_out() -> None:
    assert parse_counts("12,24,48,all", 30) == ([12, 24, 30], [48])
    assert parse_counts("30,all", 30) == ([30], [])


@pytest.mark.parametrize("text", ["", "0", "-3", "many", "31,40"])
def test_numbers_without_a_point_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_counts(text, 30)


def test_held_out_titles_are_the_same_in_every_call() -> None:
    assert held_out(194, None).sum() == 48
    assert held_out(15, None).sum() == 6
    assert np.array_equal(held_out(194, 20), held_out(194, 20))
    for titles, tested in ((15, 2), (15, 15), (6, None)):
        with pytest.raises(ConfigurationError):
            held_out(titles, tested)


def test_sizes_change_nothing_else_of_a_network() -> None:
    settings = load_settings()
    assert parse_sizes("3x192, 4x256") == [Size(3, 192), Size(4, 256)]
    small = Size(3, 192).settings(settings)
    assert (small.model.layers, small.model.hidden, small.model.feed_forward) == (3, 192, 768)
    assert Size(4, 256).settings(settings) == settings
    for text in ("3", "0x8", "3x192x4", "axb"):
        with pytest.raises(ConfigurationError):
            parse_sizes(text)
    with pytest.raises(ConfigurationError, match="heads"):
        Size(1, 7).settings(settings)


def test_the_picture_names_labels_networks_and_numbers_of_titles(tmp_path: Path) -> None:
    metric = "average_precision"
    points = [
        Point(
            label,
            network,
            titles,
            Result("in_context", metric, 0.4, 0.3, 0.5),
            Difference("in_context", "untrained", metric, 0.1, 0.0, 0.2),
            Difference("both", "compact", metric, *unmeasured),
        )
        for label in ("starts_scene", "location")
        for network in ("3 x 192", "4 x 256")
        for titles, unmeasured in ((12, (0.1, None, None)), (24, (None, None, None)))
    ]
    draw(points, tmp_path / "curve.svg")
    picture = (tmp_path / "curve.svg").read_text()
    ElementTree.fromstring(picture)
    for text in ("starts_scene: trained − untrained", "location: both − compact", "4 x 256", "24"):
        assert f"<!-- {text} -->" in picture
