import pytest

from mediafm_core.titles.caption_names import caption_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film.srt", (None, "full")),
        ("film.en.srt", ("en", "full")),
        ("film.eng.srt", ("eng", "full")),
        ("film_en.srt", ("en", "full")),
        ("film-en.srt", ("en", "full")),
        ("film (en-US)(hi).srt", ("en-US", "hearing_impaired")),
        ("film.pt-BR.srt", ("pt-BR", "full")),
        ("film.pt_BR.srt", ("pt-BR", "full")),
        ("film.zh-Hans.srt", ("zh-Hans", "full")),
        ("film.chs.ass", ("zh-Hans", "full")),
        ("film.jp.srt", ("ja", "full")),
        ("film.en-orig.vtt", ("en", "full")),
        ("film.English.srt", ("en", "full")),
        ("film.English - SDH.srt", ("en", "hearing_impaired")),
        ("film.English for hearing impaired.srt", ("en", "hearing_impaired")),
        ("film.Brazilian Portuguese.srt", ("pt-BR", "full")),
        ("film.Chinese (Simplified).srt", ("zh-Hans", "full")),
        ("film.en.2.srt", ("en", "full")),
        ("film.en.default.srt", ("en", "full")),
        ("film.en.forced.srt", ("en", "forced")),
        ("film.forced.en.srt", ("en", "forced")),
        ("film.forced.srt", (None, "forced")),
        ("film.en.foreign.srt", ("en", "forced")),
        ("film.Signs & Songs.en.ass", ("en", "forced")),
        ("film.en.full+signs.ass", ("en", "full")),
        ("film.en.sdh.srt", ("en", "hearing_impaired")),
        ("film.en.cc.vtt", ("en", "hearing_impaired")),
        ("film.hi.srt", ("hi", "full")),
        ("film.en.hi.srt", ("en", "hearing_impaired")),
        ("film.hi.hi.srt", ("hi", "hearing_impaired")),
        ("film.hi.sdh.srt", ("hi", "hearing_impaired")),
        ("film.commentary.en.srt", ("en", "commentary")),
        ("film.en.Director's Commentary.srt", ("en", "commentary")),
        ("film.en.My Own Words.srt", ("en", "full")),
        ("film.thumbnails.vtt", (None, "no_captions")),
        ("film.chapters.en.vtt", ("en", "no_captions")),
    ],
)
def test_names_as_media_servers_write_them(name: str, expected: tuple[str | None, str]) -> None:
    assert caption_name(name, "film.mp4") == expected


@pytest.mark.parametrize(
    ("name", "media", "expected"),
    [
        ("captions.en.vtt", "media.mp4", ("en", "full")),
        ("captions.en.hi.vtt", "media.mp4", ("en", "hearing_impaired")),
        ("captions_en.vtt", "media.mp4", ("en", "full")),
        ("en.srt", "media.mp4", ("en", "full")),
        ("2_English.srt", "media.mp4", ("en", "full")),
        ("Film (2010).en.srt", "Film (2010).mkv", ("en", "full")),
        ("FILM.en.srt", "film.mp4", ("en", "full")),
        ("film2.en.srt", "film.mp4", ("en", "full")),
        # Words of the film's name are not taken for a language or purpose.
        ("It.Follows.2014.srt", "It.Follows.2014.mp4", (None, "full")),
        ("Foreign.Correspondent.srt", "media.mp4", (None, "full")),
        ("Movie.AAC-RARBG.forced.srt", "Movie.AAC-RARBG.mkv", (None, "forced")),
        ("Movie.DTS.srt", "Movie.DTS.mkv", (None, "full")),
        ("spider-man.srt", "media.mp4", (None, "full")),
        ("Lost in la.srt", "media.mp4", (None, "full")),
    ],
)
def test_names_beside_media(name: str, media: str, expected: tuple[str | None, str]) -> None:
    assert caption_name(name, media) == expected


def test_a_hostile_name_is_parsed_quickly() -> None:
    assert caption_name("film." + "en-" * 80 + ".srt", "film.mp4").purpose == "full"
