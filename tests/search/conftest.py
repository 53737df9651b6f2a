"""Fixtures: a catalogue with text, pictures and their vectors, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from small_catalogue import SmallCatalogue
from spoken_titles import make_spoken_titles


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """Return titles of two clips with text, its vectors, and keyframes; must not be changed."""
    return make_spoken_titles(tmp_path_factory.mktemp("spoken"))


@pytest.fixture
def spoken_copy(spoken: SmallCatalogue, tmp_path: Path) -> SmallCatalogue:
    """Return a copy of `spoken` that a test may change."""
    shutil.copytree(spoken.root, tmp_path / "store")
    return SmallCatalogue(tmp_path / "store")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("needs chromium and chromedriver: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(programs[1])))
    yield browser
    browser.quit()
