"""The layout of the tests: folders named after the packages they test, helpers in one folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests"
HELPERS = TESTS / "helpers"
OUTSIDE_PACKAGES = {"benchmarks", "cases", "docs", "samples", "supply", "tools"}
"""Folders whose tests are of no package of the platform."""
FOLDERS = sorted({path.parent for path in TESTS.rglob("test_*.py")} - {TESTS})
HELPER_NAMES = {path.stem for path in HELPERS.glob("*.py")}


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level names of the modules that a file imports, or names in a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from HELPER_NAMES.intersection(node.value.replace(":", " ").split())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(TESTS)))
def test_a_folder_of_tests_has_the_name_of_a_package(folder: Path):
    first, *rest = folder.relative_to(TESTS).parts
    if first in OUTSIDE_PACKAGES:
        assert not rest
    else:
        package = ("mediafm_assets", *rest) if first == "assets" else ("mediafm_core", first, *rest)
        assert REPOSITORY.joinpath(*package, "__init__.py").is_file()


def test_a_loose_test_has_the_name_of_a_loose_module():
    for tests, package in ((TESTS, "mediafm_core"), (TESTS / "assets", "mediafm_assets")):
        modules = {path.stem for path in (REPOSITORY / package).glob("*.py")}
        loose = {path.stem.removeprefix("test_") for path in tests.glob("test_*.py")}
        assert loose <= modules | {"checkout"}


def test_every_helper_is_in_the_folder_of_helpers_and_is_used():
    files = set(TESTS.rglob("*.py"))
    tests = {path for path in files if path.stem.startswith("test_") or path.stem == "conftest"}
    assert {path.parent for path in files - tests} == {HELPERS}
    names = {name for path in files for name in imported(path) if path.stem != name}
    assert HELPER_NAMES - names == set()


def test_no_test_module_imports_another():
    for path in TESTS.rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("test_")], path
