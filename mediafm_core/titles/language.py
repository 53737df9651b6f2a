"""Language tags: `en`, `eng` and `en-GB` name the same language."""

import langcodes

UNDETERMINED = "und"

# Parts of a file name that say what kind of captions these are, not in which language: forced
# narrative, for the deaf and hard of hearing, closed captions.
_CAPTION_KINDS = frozenset({"forced", "sdh", "cc", "default"})


def primary_language(tag: str | None) -> str | None:
    """The language of a BCP 47 or ISO 639 tag in its shortest form: `en` for `eng` or `en-GB`.

    Returns:
        None for a missing tag, `und`, and what is no language tag.
    """
    if not tag or not langcodes.tag_is_valid(tag):
        return None
    language = langcodes.Language.get(tag).language
    return None if language == UNDETERMINED else language


def language_in_name(file_name: str) -> str | None:
    """The language tag in a file's name: `pt-BR` for `captions.pt-BR.srt`, None if there is none.

    Words for the kind of captions are passed over: `film.en.forced.srt` is English.
    """
    parts = file_name.split(".")[1:-1]
    while parts and parts[-1].lower() in _CAPTION_KINDS:
        parts.pop()
    return parts[-1] if parts and primary_language(parts[-1]) else None
