"""The drawing of the architecture: every package is on it, and it shows the code as it stands."""

from pathlib import Path

from tools.architecture import BAND, ROWS, drawing, transitive_reduction

REPOSITORY = Path(__file__).parents[2]
UNDRAWN = {"__init__", "__main__", "renamed", "__pycache__"}
"""Entry points, and the table of old names."""


def test_every_package_of_the_core_has_a_box():
    packages = {path.stem for path in (REPOSITORY / "mediafm_core").iterdir()} - UNDRAWN
    boxes = {*BAND, *(name for row in ROWS for name in row)} - {"mediafm_assets"}
    assert boxes == packages


def test_the_committed_drawing_shows_the_code_as_it_stands():
    committed = REPOSITORY / "docs" / "explanation" / "architecture.svg"
    assert committed.read_text() == drawing(), "run `make docs`"


def test_an_import_that_follows_from_others_has_no_arrow():
    imports = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert transitive_reduction(imports) == {"a": {"b"}, "b": {"c"}, "c": set()}
