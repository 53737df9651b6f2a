"""A page of another site in the owner's browser cannot use `mediafm ui`."""

import http.server
import json
import threading
from collections.abc import Iterator
from urllib.parse import quote

import dagster as dg
import pytest
from conftest import REBOUND
from dagster_catalogue import DagsterCatalogue
from person import Person, page_text
from selenium import webdriver

from mediafm_assets.assets.metadata import image
from mediafm_assets.assets.table_metadata import markdown_table, reasons, table
from mediafm_assets.dagster_internals import LOCATION, REPOSITORY
from mediafm_core.readable import inert
from mediafm_core.store.store import Store

JOB = "retire_titles"
SELECTOR = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": JOB}
CONFIG = {"ops": {"remove_titles": {"config": {"titles": ["cat"]}}}}
LAUNCH = (
    "mutation { launchRun(executionParams: {selector: {"
    + ", ".join(f"{name}: {json.dumps(value)}" for name, value in SELECTOR.items())
    + "}, runConfigData: "
    + json.dumps(json.dumps(CONFIG))
    + "}) { __typename ... on LaunchRunSuccess { run { runId } } } }"
)

# All requests that a page can send to another origin; it ends when all have a response.
ATTACK = """
const [ui, launch, done] = arguments;
const graphql = ui + '/graphql', inAddress = graphql + '?query=' + encodeURIComponent(launch);
const body = JSON.stringify({query: launch});
const plain = {'Content-Type': 'text/plain; x=application/json'};
const json = {'Content-Type': 'application/json'};
const outcomes = {};
const note = (name, value) => { outcomes[name] = value; };
const fetched = (name, address, options) => fetch(address, options)
    .then(async answer => note(name, [answer.type, answer.status, await answer.text()]))
    .catch(() => note(name, 'refused by the browser'));
const framed = (name, source) => new Promise(resolve => {
    const frame = document.createElement('iframe');
    frame.name = frame.id = name;
    frame.onload = () => resolve(note(name, 'loaded'));
    document.body.append(frame);
    source(frame);
});
const form = (name, action, enctype, fields) => framed(name, frame => {
    const form = document.createElement('form');
    Object.assign(form, {method: 'post', action, enctype, target: name});
    for (const [field, value] of Object.entries(fields)) {
        const input = document.createElement('input');
        Object.assign(input, {name: field, value});
        form.append(input);
    }
    document.body.append(form);
    form.submit();
});
const image = new Promise(resolve => {
    const picture = new Image();
    picture.onload = picture.onerror = event => resolve(note('image', event.type));
    picture.src = inAddress;
});
const socket = new Promise(resolve => {
    const socket = new WebSocket(graphql.replace('http', 'ws'), 'graphql-ws');
    socket.onopen = () => {
        socket.send(JSON.stringify({type: 'connection_init'}));
        socket.send(JSON.stringify({id: '1', type: 'start', payload: {query: launch}}));
        note('socket', 'opened');
    };
    socket.onmessage = resolve;
    socket.onerror = socket.onclose = resolve;
});
// Once the page is there, the handle on its window must be of no more use.
const opened = window.open(ui + '/jobs');
const severed = new Promise(resolve => {
    const look = () => !opened || opened.closed ? resolve() : setTimeout(look, 50);
    look();
});
navigator.sendBeacon(inAddress, new Blob([body], {type: 'text/plain'}));
Promise.all([
    fetched('plain', inAddress, {method: 'POST', mode: 'no-cors', headers: plain, body}),
    fetched('bare', inAddress, {method: 'POST', mode: 'no-cors'}),
    fetched('sandboxed json', graphql, {method: 'POST', mode: 'no-cors', headers: json, body}),
    fetched('json', graphql, {method: 'POST', headers: json, body}),
    fetched('with cookies', graphql, {method: 'POST', headers: json, body, credentials: 'include'}),
    fetched('address', inAddress, {mode: 'no-cors'}),
    fetched('report', ui + '/report_asset_materialization/shots', {
        method: 'POST', mode: 'no-cors', headers: plain, body: '{"partition": "cat"}'}),
    form('form', inAddress, 'application/x-www-form-urlencoded', {query: launch}),
    form('plain form', inAddress, 'text/plain', {['{"query": ' + JSON.stringify(launch) + ', "x']:
        '": 1}'}),
    framed('frame', frame => { frame.src = ui + '/jobs'; }),
    framed('framed query', frame => { frame.src = inAddress; }),
    image,
    socket,
    severed,
]).then(() => done(outcomes));
"""
SAME_ORIGIN = """
const [launch, done] = arguments;
const headers = {'Content-Type': 'application/json'};
fetch('/graphql', {method: 'POST', headers, body: JSON.stringify({query: launch})})
    .then(async answer => done([answer.status, await answer.text()]));
"""
LIVE = """
const done = arguments[0];
const socket = new WebSocket(`ws://${location.host}/graphql`, 'graphql-ws');
socket.onopen = () => socket.send(JSON.stringify({type: 'connection_init'}));
socket.onmessage = event => done(event.data);
socket.onerror = () => done('refused');
"""


# Addresses of elements that load by themselves, and of links that would run a script.
ELEMENTS = """
const loading = [...document.querySelectorAll('img, iframe, svg image, video, audio, object')];
const links = [...document.querySelectorAll('a')].map(link => link.href);
const sources = loading.map(each => each.src || each.data || each.outerHTML);
return [...sources, ...links.filter(to => !to.startsWith('http'))];
"""
LOADED: list[str] = []  # paths that were requested from the other site
HOSTILE = (
    "<img src=x onerror='window.entered=1'><script>window.entered=1</script>"
    "<svg onload='window.entered=1'></svg><iframe src='javascript:parent.entered=1'></iframe>"
    "![](http://127.0.0.1:{port}/loaded) <img src='http://127.0.0.1:{port}/loaded'> "
    "[link](javascript:window.entered=1) <a href='javascript:window.entered=1'>a</a> \x1b[31m"
)


@pytest.fixture(scope="module")
def other_site() -> Iterator[int]:
    """Yield the port of a server of empty pages, which accepts any host name."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            LOADED.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Kittens</title><body>")

        def log_message(self, *_: object) -> None:
            pass

    LOADED.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def launched(catalogue: DagsterCatalogue) -> list[str]:
    """Return the runs of the job that the attacking page requests."""
    with catalogue.instance() as instance:
        return [run.run_id for run in instance.get_runs() if run.job_name == JOB]


def is_untouched(catalogue: DagsterCatalogue) -> bool:
    return not launched(catalogue) and Store(catalogue.store).record("shots", "cat") is not None


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", REBOUND])
def test_a_page_of_another_site_starts_nothing(
    name: str,
    browser: webdriver.Chrome,
    ui: str,
    other_site: int,
    catalogue: DagsterCatalogue,
) -> None:
    browser.set_script_timeout(120)
    browser.get(f"http://{name}:{other_site}/")
    before = set(browser.window_handles)
    outcomes = browser.execute_async_script(ATTACK, ui, LAUNCH)
    assert is_untouched(catalogue)
    assert "socket" not in outcomes
    assert outcomes["image"] == "error"
    assert outcomes["json"] == outcomes["with cookies"] == "refused by the browser"
    attacker = browser.current_window_handle
    for frame in ("form", "plain form", "frame", "framed query"):
        browser.switch_to.frame(browser.find_element("id", frame))
        assert "retire_titles" not in page_text(browser)
        assert "launchRun" not in page_text(browser)
        assert "LaunchRunSuccess" not in page_text(browser)
        browser.switch_to.window(attacker)
    for window in set(browser.window_handles) - before:
        browser.switch_to.window(window)
        browser.close()
    browser.switch_to.window(attacker)
    browser.get(f"{ui}/graphql?query={quote(LAUNCH)}")
    assert is_untouched(catalogue)


def test_a_name_that_is_rebound_to_this_machine_is_refused(
    browser: webdriver.Chrome, ui: str, catalogue: DagsterCatalogue
) -> None:
    browser.get(ui.replace("127.0.0.1", REBOUND))
    assert "does not accept the host name" in page_text(browser)
    status, text = browser.execute_async_script(SAME_ORIGIN, LAUNCH)
    assert (status, "does not accept the host name" in text) == (421, True)
    assert browser.execute_async_script(LIVE) == "refused"
    assert is_untouched(catalogue)


def test_the_owner_still_uses_the_ui(person: Person, catalogue: DagsterCatalogue) -> None:
    person.opens("/jobs")
    person.reads(JOB)
    assert json.loads(person.browser.execute_async_script(LIVE)) == {"type": "connection_ack"}
    status, text = person.browser.execute_async_script(SAME_ORIGIN, "{ version }")
    assert (status, list(json.loads(text)["data"])) == (200, ["version"])
    # The same request starts a run when the owner sends it.
    status, text = person.browser.execute_async_script(SAME_ORIGIN, LAUNCH)
    started = json.loads(text)["data"]["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess"
    assert launched(catalogue) == [started["run"]["runId"]]
    stop = f'mutation {{ terminateRun(runId: "{started["run"]["runId"]}") {{ __typename }} }}'
    person.browser.execute_async_script(SAME_ORIGIN, stop)


def test_markup_in_names_never_runs(
    person: Person, other_site: int, catalogue: DagsterCatalogue
) -> None:
    """Check that names and descriptions of users are shown as plain text."""
    text = HOSTILE.format(port=other_site)
    with catalogue.instance() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                "evaluation",
                description=inert(text),
                metadata={
                    "label": text,
                    "versions": markdown_table(["title", "reason"], [{"title": text}]),
                    "clips": table(("clip", "labels"), [{"clip": text, "labels": text}]),
                    "reasons": reasons([("cat", text)]),
                    "picture": image(b"", "png", text),
                    "details": dg.MetadataValue.json({"name": text}),
                },
            )
        )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("mediafm_model"),
                check_name="hidden_shots_are_predicted",
                passed=False,
                description=inert(text),
                metadata={"finding": text},
            )
        )
    before = len([path for path in LOADED if path == "/loaded"])
    for page, texts in (
        ("/assets/evaluation", ["versions", "reasons"]),
        ("/assets/evaluation?view=events", ["evaluation"]),
        ("/assets/mediafm_model?view=checks", ["hidden_shots_are_predicted"]),
    ):
        person.opens(page)
        person.reads(*texts)
        for opened in person.browser.find_elements(
            "xpath", "//*[contains(text(), 'Show Markdown')]"
        ):
            person.browser.execute_script("arguments[0].click()", opened)
        assert person.browser.execute_script("return window.entered") is None
        found = person.browser.execute_script(ELEMENTS)
        assert [each for each in found if str(other_site) in each or "javascript:" in each] == []
    assert len([path for path in LOADED if path == "/loaded"]) == before == 0
