"""Text from a service that may be shown."""

import pytest

from mediafm_core.runtime.http_limits import redacted

KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing of it", "nothing of it"),
        (f"the key {KEY} is wrong", "the key [redacted] is wrong"),
        (f"the key ({KEY}).", "the key ([redacted])."),
        (f"the key {KEY.upper()[:12]}***", "the key [redacted]"),
        (f"http://host/{KEY}/v1: check", "[redacted] check"),
        ("a very secret service", "a very secret service"),
        ("a very-secret service", "a [redacted] service"),
        ("two\nlines\x1b[2J of it", "two lines [2J of it"),
    ],
)
def test_words_with_pieces_of_a_secret_are_replaced(text, shown):
    assert redacted(text, [KEY]) == shown


@pytest.mark.parametrize(("secret", "shown"), [("EMPTY", "is [redacted]"), ("", "is empty")])
def test_short_secrets_are_whole_words(secret, shown):
    assert redacted("is empty", [secret]) == shown
    assert redacted("is emptying", [secret]) == "is emptying"
