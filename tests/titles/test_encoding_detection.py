import codecs
import contextlib

import pytest

from mediafm_core.titles.encoding_detection import UnknownEncodingError, decode

LINES = {
    "ar": "لا أعرف ماذا أقول لك. يجب أن نغادر من هنا قبل فوات الأوان.",
    "bg": "Не знам какво да ти кажа. Трябва да се махаме оттук.",
    "cs": "Nevím, co ti mám říct. Musíme odtud odejít, než bude pozdě. Šťastný kůň.",
    "de": "Ich weiß nicht, was ich dir sagen soll. Schöne Grüße.",
    "el": "Δεν ξέρω τι να σου πω. Πρέπει να φύγουμε από εδώ.",
    "en": "“Don’t go,” she said — to the café.",
    "es": "¿Qué quieres? ¡No lo sé, señor! Mañana será otro día.",
    "fa": "نمي‌دانم چه بگويم. بايد از اينجا برويم.",
    "fr": "Je ne sais pas quoi te dire. Où est ton frère ? Ça va être l'été.",
    "he": "אני לא יודע מה להגיד לך. אנחנו חייבים ללכת מכאן.",
    "hu": "Nem tudom, mit mondjak neked. El kell mennünk innen. Hűvös őszi idő, óriás.",
    "is": "Ég veit ekki hvað ég á að segja þér.",
    "ja": "何と言えばいいのかわからない。手遅れになる前にここを出なければ。",
    "ko": "뭐라고 말해야 할지 모르겠어. 늦기 전에 여기서 나가야 해.",
    "lt": "Nežinau, ką tau pasakyti. Turime išeiti iš čia.",
    "pl": "Nie wiem, co ci powiedzieć. Gdzie jest twój brat? Źle się czuję, późno.",
    "pt": "Não sei o que te dizer. Você não está bem, irmão.",
    "ro": "Nu ştiu ce să-ţi spun. Trebuie să plecăm de aici înainte să fie prea târziu.",
    "ru": "Я не знаю, что тебе сказать. Мы должны уйти отсюда, пока не поздно.",
    "sk": "Neviem, čo ti mám povedať. Musíme odtiaľto odísť, kým je ešte čas.",
    "sr": "Ne znam šta da ti kažem. Moramo otići odavde, čoveče.",
    "th": "ผมไม่รู้จะบอกคุณว่าอะไร เราต้องไปจากที่นี่",
    "tr": "Sana ne diyeceğimi bilmiyorum. Kardeşin nerede? İyi günler, ağabey.",
    "uk": "Я не знаю, що тобі сказати. Ми повинні піти звідси, їй краще.",
    "zh": "我不知道该对你说什么。我们必须离开这里。",
}
TRADITIONAL = "我不知道該對你說什麼。我們必須離開這裡。"
SRT = "1\n00:00:01,000 --> 00:00:03,000\n{}\n"


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *(("ar", each) for each in ("cp1256", "iso8859_6")),
        *(("bg", each) for each in ("cp1251", "koi8_r")),
        *(("cs", each) for each in ("cp1250", "iso8859_2", "cp852")),
        *(("de", each) for each in ("cp1252", "cp850", "mac_roman")),
        *(("el", each) for each in ("cp1253", "iso8859_7")),
        *(("en", each) for each in ("cp1252",)),
        *(("es", each) for each in ("cp1252", "iso8859_15")),
        *(("fa", each) for each in ("cp1256",)),
        *(("fr", each) for each in ("cp1252", "latin_1", "mac_roman")),
        *(("he", each) for each in ("cp1255", "iso8859_8")),
        *(("hu", each) for each in ("cp1250", "iso8859_2")),
        *(("is", each) for each in ("cp1252",)),
        *(("ja", each) for each in ("cp932", "euc_jp", "iso2022_jp", "utf_16_le", "utf_16_be")),
        *(("ko", each) for each in ("cp949", "euc_kr")),
        *(("lt", each) for each in ("cp1257", "iso8859_13")),
        *(("pl", each) for each in ("cp1250", "iso8859_2")),
        *(("pt", each) for each in ("cp1252",)),
        *(("ro", each) for each in ("cp1250", "iso8859_2")),
        *(("ru", each) for each in ("cp1251", "koi8_r", "iso8859_5", "cp866", "mac_cyrillic")),
        *(("sk", each) for each in ("cp1250", "iso8859_2")),
        *(("sr", each) for each in ("cp1250", "iso8859_2")),
        *(("th", each) for each in ("cp874", "tis_620")),
        *(("tr", each) for each in ("cp1254", "iso8859_9")),
        *(("uk", each) for each in ("cp1251", "koi8_u")),
        *(("zh", each) for each in ("gb18030", "gb2312", "gbk")),
    ],
)
def test_legacy_encodings_by_language(language: str, encoding: str) -> None:
    text = SRT.format(LINES[language])
    assert decode(text.encode(encoding), [language]).text == text
    # The language in the file name precedes that of the title.
    assert decode(text.encode(encoding), [language, "en"]).text == text


@pytest.mark.parametrize(
    "text",
    [
        *("¶ Happy birthday ¶", "¶Happy birthday¶", "5¢ or 5 £", "Møller’s façade", "20 °C – 5 µm"),
        "“crème brûlée”, jalapeño, smörgåsbord, Ångström, São Paulo, Zoë",
        *("Señor Müller’s naïve fiancée", "† 1950 ‡ ½ … “yes”", "à", "Ça", "N° 5, 2ª vez, ¿qué?"),
    ],
)
@pytest.mark.parametrize("languages", [[], ["en"], ["de"], ["fr"]])
def test_western_text_is_read_as_windows_1252(text: str, languages: list[str]) -> None:
    text = SRT.format(text)
    assert decode(text.encode("cp1252"), languages).text == text


def test_western_text_in_a_title_of_another_language() -> None:
    text = SRT.format("En tiedä, mitä sanoa. Häivytään täältä! Yö, ääni.")
    for language in ("pl", "ru", "ja", "tr"):
        assert decode(text.encode("cp1252"), [language]).text == text


def test_traditional_chinese() -> None:
    text = SRT.format(TRADITIONAL)
    assert decode(text.encode("big5"), ["zh"]).text == text


@pytest.mark.parametrize("language", LINES)
@pytest.mark.parametrize("others", [[], ["en"], ["ru"], ["ja"], ["fr"]])
def test_ambiguous_text_is_refused(language: str, others: list[str]) -> None:
    encoding = {
        **dict.fromkeys(("ar", "fa"), "cp1256"),
        **dict.fromkeys(("bg", "ru", "uk"), "cp1251"),
        **dict.fromkeys(("cs", "hu", "pl", "ro", "sk", "sr"), "cp1250"),
        **{"el": "cp1253", "he": "cp1255", "ja": "euc_jp", "ko": "cp949", "lt": "cp1257"},
        **{"th": "cp874", "tr": "cp1254", "zh": "gb18030"},
    }.get(language, "cp1252")
    text = SRT.format(LINES[language])
    with contextlib.suppress(UnknownEncodingError):
        assert decode(text.encode(encoding), others).text == text


def test_one_bad_byte_becomes_one_replacement_character() -> None:
    good = "Un café déjà vu, à l'été."
    assert decode(good.encode().replace(b"vu", b"v\xfb")) == (
        good.replace("vu", "v\ufffd"),
        "utf-8",
        1,
    )
    assert decode(codecs.BOM_UTF8 + b"caf\xe9") == ("caf\ufffd", "utf-8-sig", 1)
    assert decode(good.encode()[:-2]).damaged == 1  # truncated inside a character
    japanese = LINES["ja"].encode("cp932")
    assert decode(japanese[:9] + b"\xff" + japanese[10:], ["ja"]).damaged <= 2


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_truncated_utf16(mark: str, encoding: str) -> None:
    text = SRT.format(LINES["ru"])
    found = decode((mark + text).encode(encoding)[:-1])
    assert (found.text.lstrip("\ufeff"), found.damaged) == (text[:-1] + "\ufffd", 1)


def test_a_replacement_character_in_the_file_is_not_damage() -> None:
    assert decode("é \ufffd".encode()) == ("é \ufffd", "utf-8", 0)


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 40, codecs.BOM_UTF16_LE + b"\x00\xd8\x00\xd8", b"\x8f\x9d\x81" * 9]
)
def test_no_text_in_any_encoding(data: bytes) -> None:
    with pytest.raises(UnknownEncodingError):
        decode(data, ["en"])


def test_half_in_another_encoding_is_refused() -> None:
    mixed = "déjà".encode() + "été, être, très, où, ça, là, près, forêt".encode("latin_1")
    with pytest.raises(UnknownEncodingError):
        decode(mixed, ["fr"])


@pytest.mark.timeout(120)  # detects an endless search
@pytest.mark.parametrize(
    "data",
    [b"\xff" * (4 << 20), b"\xe9\r" * (1 << 20), b"a\n" * (2 << 20) + b"\xe9", b"\0" * (8 << 20)],
)
def test_large_files_without_text(data: bytes) -> None:
    with contextlib.suppress(UnknownEncodingError):
        decode(data, ["ru"])
