"""Language tags, normalised: `en`, `eng` and `en-GB` stand for the same language."""

import langcodes

UNDETERMINED = "und"


def primary_language(tag: str | None) -> str | None:
    """Return the language of a BCP 47 or ISO 639 tag in shortest form: `en` for `eng` or `en-GB`.

    Returns:
        None for a missing or invalid tag, and for `und`.
    """
    if not tag or not langcodes.tag_is_valid(tag):
        return None
    language = langcodes.Language.get(tag).language
    return None if language == UNDETERMINED else language
