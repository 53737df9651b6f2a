"""Fixtures of the UI's tests: a real `mediafm ui` with its daemon, and a real browser."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from dagster_catalogue import GOOD, DagsterCatalogue
from films import SMALL_MODEL
from person import PATIENCE_S, Person
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from mediafm_core.pipeline.serving import serving_model
from mediafm_core.store.features import publish, remove
from mediafm_core.store.store import Store

LABEL = "mood"
REBOUND = "rebound.example"  # a name of another site whose owner makes it resolve to this machine
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
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
)
SETTINGS = {
    **SMALL_MODEL,
    "MEDIAFM_SENSORS__ARRIVALS_EVERY_S": "2",
    "MEDIAFM_SENSORS__SWEEP_EVERY_S": "5",
}


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def catalogue(
    browser: webdriver.Chrome,
    dagster_catalogue: DagsterCatalogue,
    tmp_path_factory: pytest.TempPathFactory,
) -> DagsterCatalogue:
    """Return the catalogue in the UI. It needs the browser, so skipped tests create nothing."""
    copy = dagster_catalogue.copy(tmp_path_factory.mktemp("ui"))
    label_clips(Store(copy.store))
    return copy


def label_clips(store: Store) -> None:
    """Give all clips a label, as in `clips.csv`, without computing anything."""
    model = serving_model(store)
    assert model
    for title_id in GOOD:
        record = store.record("clip_features", title_id, model)
        assert record
        clips = store.read("clip_features", title_id, model)
        moods = [[(LABEL, "tense" if row % 2 else "calm")] for row in range(clips.num_rows)]
        labels = pa.array(moods, clips.schema.field("labels").type)
        place = clips.column_names.index("labels")
        store.write(record, clips.set_column(place, "labels", labels), model)
    remove(store, GOOD)  # what is published already is not written again
    publish(store, model, GOOD)


@pytest.fixture(scope="package")
def ui(browser: webdriver.Chrome, catalogue: DagsterCatalogue) -> Iterator[str]:
    """Yield the address of a running `mediafm ui`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = catalogue.store.parent / "log"
    command = [sys.executable, "-m", "mediafm_core", "ui", "--port", str(port)]
    environment = {**os.environ, **SETTINGS}
    environment.pop("DAGSTER_HOME", None)
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--inbox", str(catalogue.inbox), "--store", str(catalogue.store)],
            env=environment,
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
    """Return True if the server responds and has loaded the assets."""
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


@pytest.fixture(scope="package")
def person(browser: webdriver.Chrome, ui: str, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Return a user of the UI; screenshots are kept in the folder in MEDIAFM_SCREENSHOTS."""
    named = os.environ.get("MEDIAFM_SCREENSHOTS")
    pictures = Path(named) if named else tmp_path_factory.mktemp("pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    return Person(browser, ui, pictures)
