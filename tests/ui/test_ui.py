"""What a person sees in Dagster's UI: a real `mediafm ui` in a real browser.

Screenshots are kept in the folder that MEDIAFM_SCREENSHOTS names.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from dagster_catalogue import GOOD, DagsterCatalogue
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from mediafm_assets.model_assets import SERVING_MODEL
from mediafm_core.pipeline.graph import SPECS

PATIENCE_S = 120
GROUPS = ("ingest", "embeddings", "model", "context")
CHROMIUM = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1100",
)
Found = TypeVar("Found")


class Person:
    """Somebody who looks at the UI and keeps pictures of it."""

    def __init__(self, browser: webdriver.Chrome, address: str, pictures: Path) -> None:
        self.browser = browser
        self.address = address
        self.pictures = pictures

    def opens(self, path: str) -> None:
        self.browser.get(self.address + path)

    def waits_for(self, seen: Callable[[webdriver.Chrome], Found]) -> Found:
        return WebDriverWait(self.browser, PATIENCE_S, poll_frequency=0.2).until(seen)

    def reads(self, *texts: str) -> None:
        """Wait until all texts are on the page."""
        try:
            self.waits_for(lambda browser: all(text in page_text(browser) for text in texts))
        finally:
            lacking = [text for text in texts if text not in page_text(self.browser)]
            if lacking:
                print(f"{self.browser.current_url} lacks {lacking}")

    def clicks(self, text: str) -> None:
        xpath = f"//*[text()='{text}']"
        self.waits_for(lambda browser: browser.find_elements(By.XPATH, xpath))[0].click()

    def sees_a_picture(self) -> int:
        """Wait until a picture from the metadata is rendered; returns its width in pixels."""
        css = "img[src^='data:image']"
        return self.waits_for(
            lambda browser: max(
                (
                    int(image.get_property("naturalWidth") or 0)
                    for image in browser.find_elements(By.CSS_SELECTOR, css)
                    if image.is_displayed()
                ),
                default=0,
            )
        )

    def keeps(self, name: str) -> None:
        self.browser.save_screenshot(str(self.pictures / f"{name}.png"))


def page_text(browser: webdriver.Chrome) -> str:
    return browser.execute_script("return document.body.innerText")


def is_shown(name: str, lines: list[str]) -> bool:
    """Whether a name is on a line of its own; the graph shortens long names in their middle."""
    for line in lines:
        head, ellipsis, tail = line.strip().partition("…")
        shortened = ellipsis and head and name.startswith(head) and name.endswith(tail)
        if line.strip() == name or shortened:
            return True
    return False


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("needs chromium and chromedriver: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in (*CHROMIUM, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(programs[1])))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def ui(
    browser: webdriver.Chrome,
    dagster_catalogue: DagsterCatalogue,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Address of a running `mediafm ui`. Needs the browser first, so that it may be skipped."""
    folder = tmp_path_factory.mktemp("ui")
    copy = dagster_catalogue.copy(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    command = [sys.executable, "-m", "mediafm_core", "ui", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--inbox", str(copy.inbox), "--store", str(copy.store)],
            env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        waiting = WebDriverWait(browser, PATIENCE_S, poll_frequency=0.5)
        waiting.until(lambda _: process.poll() is not None or has_loaded(address))
        assert process.poll() is None, log.read_text()
        yield address
    finally:
        family = (
            psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for child in family:
            if child.is_running():
                child.kill()


def has_loaded(address: str) -> bool:
    """Whether the server answers and knows the assets."""
    request = urllib.request.Request(
        f"{address}/graphql",
        data=json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return bool(json.load(response)["data"]["assetNodes"])
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture
def person(browser: webdriver.Chrome, ui: str, tmp_path: Path) -> Person:
    pictures = Path(os.environ.get("MEDIAFM_SCREENSHOTS", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    return Person(browser, ui, pictures)


def test_the_graph_names_every_asset(person: Person):
    person.opens("/asset-groups?expanded=" + ",".join(f"global@global:{name}" for name in GROUPS))
    names = {*SPECS, "mediafm_model", SERVING_MODEL, "inbox"}
    person.waits_for(
        lambda browser: (
            names == {name for name in names if is_shown(name, page_text(browser).splitlines())}
        )
    )
    person.keeps("graph")


def test_a_title_shows_its_shots(person: Person):
    person.opens(f"/assets/shots?view=partitions&partition={GOOD[1]}")
    person.reads(GOOD[1], "contact_sheet", "cpu_seconds", "transnetv2")
    person.keeps("shots")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("contact_sheet")


def test_the_model_shows_its_loss_curve(person: Person):
    person.opens("/assets/mediafm_model")
    person.reads("loss_curve", "validation_loss", "parameter_groups")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("loss_curve")


def test_what_serves_shows_who_released_it_and_why(person: Person):
    person.opens(f"/assets/{SERVING_MODEL}")
    person.reads("released_by", "first model of the catalogue", "mediafm-2@")
    person.keeps("serving_model")


def test_a_model_can_be_released_from_the_launchpad(person: Person):
    person.opens("/locations/mediafm_assets.definitions/jobs/release_model/playground")
    person.reads("release_candidate", 'Missing required config entry "version"', "Launch Run")
    person.keeps("release_model")


def test_a_title_shows_how_alike_its_shots_are(person: Person):
    person.opens(f"/assets/contextual_embeddings?view=partitions&partition={GOOD[0]}")
    person.reads(GOOD[0], "shot_similarity")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("shot_similarity")


def test_a_finished_run_shows_its_steps(person: Person, dagster_catalogue: DagsterCatalogue):
    person.opens(f"/runs/{dagster_catalogue.run_ids[0]}")
    person.reads("Success", "embed_title", "decode", "video_embeddings", "fused_embeddings")
    person.keeps("run")


def test_a_check_shows_what_it_looks_at(person: Person):
    person.opens("/assets/shots?view=checks&checkDetail=shots_partition_title")
    person.reads("shots_partition_title", "Shots follow each other without gap or overlap")
    person.keeps("check")


def test_the_inbox_shows_what_is_held_back(person: Person):
    person.opens("/assets/inbox")
    person.reads("quarantined", "The folder that titles arrive in")
    person.keeps("inbox")
