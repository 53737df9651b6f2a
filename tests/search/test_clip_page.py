"""The page of a search's results is one complete file, and escapes all texts."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from PIL import Image
from selenium import webdriver
from small_catalogue import SmallCatalogue

import mediafm_core
from mediafm_core.cli.main import main
from mediafm_core.errors import StoreError
from mediafm_core.report.clip_page import clock
from mediafm_core.search.clip_keyframes import keyframes_of

HOSTILE = '<script>document.title = "x"</script> & "<b>quotes</b>"'


class Page(HTMLParser):
    """Pictures, texts and elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag == "img":
            self.pictures.append(str(dict(attrs)["src"]))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


@pytest.fixture
def hostile(spoken_copy: SmallCatalogue) -> SmallCatalogue:
    """Return a catalogue with a title whose name and text are markup."""
    store = spoken_copy.store
    record, content = store.json_record("title", "kennel") or (None, {})
    assert record is not None
    content["manifest"]["name"] = HOSTILE
    store.write_json(record.model_copy(update={"data_version": "2"}), content)
    table, timed = store.read("timed_text", "kennel"), store.record("timed_text", "kennel")
    assert timed is not None
    texts = pa.array([HOSTILE] * table.num_rows)
    store.write(timed, table.set_column(table.column_names.index("text"), "text", texts))
    spoken_copy.publish("kennel")
    return spoken_copy


def page_of(small: SmallCatalogue) -> str:
    asked = [("kennel", 0.0, 20.0), ("market", 31.0, 33.0)]
    with mediafm_core.Searcher(small.root, precision=None) as searcher:
        return searcher.page(searcher.similar_many(asked, k=3), asked)


def test_the_page_is_complete_and_every_picture_can_be_decoded(spoken: SmallCatalogue) -> None:
    page = Page(page_of(spoken))
    assert page.elements.count("section") == 2
    assert page.elements.count("li") == 6
    assert len(page.pictures) > 6
    for source in page.pictures:
        kind, _, data = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (320, 128))
    text = "\n".join(page.texts)
    assert "Like kennel, 0:00.0 to 0:20.0" in text
    assert "The dog barks at the mailman.\nHe wags his tail." in text
    assert "similarity" in text


def test_markup_in_titles_and_texts_stays_text(hostile: SmallCatalogue) -> None:
    page = Page(page_of(hostile))
    assert "script" not in page.elements
    assert "b" not in page.elements
    assert HOSTILE in page.texts
    loading = [value for name, value in page.attributes if name in ("src", "href")]
    assert all(str(value).startswith("data:") for value in loading)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


@pytest.mark.parametrize(("width", "columns"), [(1400, 3), (390, 1)])
def test_opens_in_a_browser_from_the_disk(
    hostile: SmallCatalogue, tmp_path: Path, browser: webdriver.Chrome, width: int, columns: int
) -> None:
    file = tmp_path / "clips.html"
    file.write_text(page_of(hostile), encoding="utf-8")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    grounds = set()
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        browser.get(file.as_uri())
        grounds.add(
            browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        )
    assert len(grounds) == 2
    assert browser.title == "Nearest clips"
    assert browser.execute_script(
        "for (const image of document.images) image.loading = 'eager';"
        "return Promise.all([...document.images].map(image => image.decode()))"
        ".then(() => [...document.images].every(image => image.naturalWidth > 0))"
    )
    tops = browser.execute_script(
        "return [...document.querySelector('ol').children].map(e => e.getBoundingClientRect().top)"
    )
    assert tops.count(tops[0]) == columns
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_pictures_are_spread_over_a_clip(spoken: SmallCatalogue) -> None:
    spans = pa.table(
        {
            "title_id": ["kennel", "market", "kennel", "kennel"],
            "start_s": [0.0, 20.0, 30.0, 2.0],
            "end_s": [60.0, 22.0, 45.0, 3.0],
        }
    )
    found = keyframes_of(spoken.store, spans, most=4)
    times = {
        clip: [row["time_s"] for row in found.to_pylist() if row["clip"] == clip]
        for clip in range(4)
    }
    # Keyframes are at 1.875, 5.625, 9.375, ... s.
    assert times[0] == [9.375, 24.375, 39.375, 54.375]
    assert times[1] == [20.625]
    assert times[2] == [31.875, 35.625, 39.375, 43.125]
    assert times[3] == [1.875]  # none within: the one before


def test_keyframes_that_are_gone(spoken_copy: SmallCatalogue) -> None:
    spoken_copy.store.remove("keyframes", "market")
    with pytest.raises(StoreError, match=r"market has no keyframes .*mediafm run"):
        page_of(spoken_copy)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (61.24, "1:01.2"), (3723.4, "1:02:03.4")],
)
def test_times(seconds: float, text: str) -> None:
    assert clock(seconds) == text


class TestCommands:
    @pytest.fixture
    def mediafm(self, spoken_copy: SmallCatalogue, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("MEDIAFM_STORE", str(spoken_copy.root))

        def run(*arguments: str) -> str:
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, result.output
            return result.stdout

        return run

    def test_several_spans_and_a_page(self, mediafm, tmp_path: Path) -> None:
        page = tmp_path / "clips.html"
        spans = ("kennel", "0", "0:20", "silent", "10", "20")
        options = ("-k", "4", "--where", "title_id <> 'market'", "--per-title", "1")
        rows = json.loads(
            mediafm(
                "similar", *spans, *options, "--diversity", "0.2", "--html", str(page), "--json"
            )
        )
        assert [(row["query"], row["title_id"]) for row in rows] == [
            *((0, "kennel"), (0, "silent"), (1, "silent"), (1, "kennel"))
        ]
        assert Page(page.read_text(encoding="utf-8")).elements.count("li") == 4

    def test_search_and_a_page(self, mediafm, tmp_path: Path) -> None:
        page = tmp_path / "clips.html"
        (row,) = json.loads(
            mediafm("search", "dog", "--by", "words", "--html", str(page), "--json")
        )
        assert (row["rank"], row["title_id"]) == (1, "kennel")
        assert "“dog”" in page.read_text(encoding="utf-8")
        assert "Pictures: " in mediafm("search", "dog", "--by", "words", "--html", str(page))

    def test_index_and_search_with_it(self, mediafm) -> None:
        assert re.match(r"6 clips of \S+, \d", mediafm("index"))
        assert json.loads(mediafm("index", "--json"))["clips"] == 6
        arguments = ("similar", "kennel", "0", "20", "--json")
        found, exact = json.loads(mediafm(*arguments)), json.loads(mediafm(*arguments, "--exact"))
        assert [row["clip_id"] for row in found] == [row["clip_id"] for row in exact]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("similar", "kennel", "0"), "a title, a start and an end for each span"),
            (("similar", "kennel", "0", "soon"), "'soon' is not a time"),
            (("similar", "kennel", "0", "9", "--where", "1; SELECT 1"), "cannot be used"),
            (("search", "dog", "--by", "smell"), "'smell' is no search method"),
            (("similar", "kennel", "0", "9", "--html", "/nowhere/at/all.html"), "/nowhere"),
        ],
    )
    def test_invalid_arguments_are_refused(
        self, spoken: SmallCatalogue, arguments: tuple[str, ...], message: str
    ) -> None:
        result = CliRunner().invoke(main, [*arguments, "--store", str(spoken.root)])
        assert result.exit_code > 0
        assert isinstance(result.exception, SystemExit)
        assert message in result.stderr
