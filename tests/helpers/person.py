"""User of Dagster's UI in a browser: looks, clicks, and saves screenshots."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 600
LOCATION = "/locations/mediafm_assets.definitions"
Found = TypeVar("Found")

_TABLES = "return document.querySelectorAll('table').length"
_TABLES_CUT_OFF = """
const clips = element => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX);
const cut = [];
for (const table of document.querySelectorAll('table')) {
    let place = table.parentElement;
    while (place !== document.body && !clips(place)) place = place.parentElement;
    const right = element => element.getBoundingClientRect().right;
    if (right(table) > right(place) + 1) cut.push(table.innerText.slice(0, 80));
}
return cut;
"""
_ENDS = ("Success", "Failure", "Canceled")


class Person:
    """User at a browser.

    Args:
        browser: to look through.
        address: of the UI.
        pictures: folder of the screenshots.
    """

    def __init__(self, browser: webdriver.Chrome, address: str, pictures: Path) -> None:
        self.browser = browser
        self.address = address
        self.pictures = pictures

    def opens(self, path: str) -> None:
        self.browser.get(self.address + path)

    def waits_for(self, seen: Callable[[webdriver.Chrome], Found]) -> Found:
        """Wait until something is seen; pages may render again at any moment."""
        moving = (StaleElementReferenceException, ElementClickInterceptedException)
        return WebDriverWait(self.browser, PATIENCE_S, 0.2, moving).until(seen)

    def reads(self, *texts: str) -> None:
        """Wait until all texts are on the page."""
        try:
            self.waits_for(lambda browser: all(text in page_text(browser) for text in texts))
        finally:
            lacking = [text for text in texts if text not in page_text(self.browser)]
            if lacking:
                print(f"{self.browser.current_url} lacks {lacking}")

    def clicks(self, text: str, last: bool = False) -> None:
        """Click the element with this text; the last of several is on top, in a menu."""

        # A button may be there before it can be pressed, while a configuration is validated.
        enabled = "not(ancestor-or-self::button[@disabled])"

        def click(_: webdriver.Chrome) -> bool:
            found = self._shown(f"//*[normalize-space(text())='{text}' and {enabled}]")
            if found:
                found[-1 if last else 0].click()
            return bool(found)

        self.waits_for(click)

    def unfolds(self, field: str) -> None:
        """Click a field, found by its placeholder, so that it shows its options."""
        place = f"//input[@placeholder='{field}']"
        self.waits_for(lambda _: self._shown(place))[0].click()

    def writes_config(self, text: str) -> None:
        """Put text into the editor that is open."""
        css = ".CodeMirror"
        editors = self.waits_for(
            lambda browser: [
                each for each in browser.find_elements(By.CSS_SELECTOR, css) if each.is_displayed()
            ]
        )
        self.browser.execute_script(
            "arguments[0].CodeMirror.setValue(arguments[1])", editors[-1], text
        )

    def launches(self) -> None:
        """Launch a run from the Launchpad, which checks the configuration first, and go there."""
        button = "//button[not(@disabled)][contains(normalize-space(.), 'Launch Run')]"
        self.waits_for(lambda _: self._shown(button))[0].click()
        self.waits_for(lambda browser: "/runs/" in browser.current_url)

    def follows(self, address: str) -> None:
        """Open the first link whose address contains this text."""
        links = self.waits_for(lambda _: self._shown(f"//a[contains(@href, '{address}')]"))
        links[0].click()
        self.waits_for(lambda browser: address in browser.current_url)

    def scrolls_to(self, text: str) -> None:
        found = self.waits_for(lambda _: self._shown(f"//*[normalize-space(text())='{text}']"))
        self.browser.execute_script("arguments[0].scrollIntoView()", found[0])

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

    def sees_the_run_succeed(self) -> None:
        """Wait on the page of a run until it has succeeded."""

        def end(browser: webdriver.Chrome) -> str | None:
            lines = page_text(browser).splitlines()
            return next((line for line in lines if line in _ENDS), None)

        ended = self.waits_for(end)
        assert ended == "Success", page_text(self.browser)

    def looks_at_width(self, pixels: int) -> None:
        """Set the width of the window and keep its height."""
        self.browser.set_window_size(pixels, self.browser.get_window_size()["height"])

    def sees_tables_whole(self) -> None:
        """Wait until every table of the page fits into its scrolling container in full width."""
        self.waits_for(lambda browser: browser.execute_script(_TABLES))
        self.waits_for(lambda browser: browser.execute_script(_TABLES_CUT_OFF) == [])

    def opens_a_tick(self, sensor: str, result: str, message: str) -> None:
        """Open ticks of a sensor, as they come, until one with this result shows this message."""
        self.opens(f"{LOCATION}/sensors/{sensor}")

        def tells(browser: webdriver.Chrome) -> bool:
            ticks = self._shown(f"//button[normalize-space()='{result}']")
            if not ticks:
                return False
            ticks[0].click()
            self.waits_for(lambda browser: f"Tick for {sensor}" in page_text(browser))
            self.waits_for(lambda browser: "Loading" not in page_text(browser))
            if message in page_text(browser):
                return True
            self.clicks("Close")
            self.waits_for(lambda browser: f"Tick for {sensor}" not in page_text(browser))
            return False

        self.waits_for(tells)

    def keeps(self, name: str) -> None:
        self.browser.save_screenshot(str(self.pictures / f"{name}.png"))

    def _shown(self, xpath: str) -> list[WebElement]:
        found = self.browser.find_elements(By.XPATH, xpath)
        return [element for element in found if element.is_displayed()]


def page_text(browser: webdriver.Chrome) -> str:
    """Return all text that a page shows."""
    return browser.execute_script("return document.body.innerText")


def is_shown(name: str, lines: list[str]) -> bool:
    """Return True if a line is the name; the graph shortens long names in their middle."""
    for line in lines:
        head, ellipsis, tail = line.strip().partition("…")
        shortened = ellipsis and head and name.startswith(head) and name.endswith(tail)
        if line.strip() == name or shortened:
            return True
    return False
