"""Letters and legacy encodings by language, for encoding detection."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class WritingSystem(NamedTuple):
    """Legacy encodings and letters of a language.

    Attributes:
        encodings: Python's names, the most likely first.
        letters: non-ASCII lower-case letters. For alphabets other than Latin, all letters, the most
            common in running text first; for Chinese, Japanese and Korean, only the most common
            characters.
        is_latin: the language's words also have ASCII letters.
    """

    encodings: tuple[str, ...]
    letters: str
    is_latin: bool = True


_WESTERN = ("cp1252", "cp850", "mac_roman")
_CENTRAL = ("cp1250", "iso8859_2", "cp852", "mac_latin2")
_CYRILLIC = ("cp1251", "koi8_r", "iso8859_5", "cp866", "mac_cyrillic")
_BALTIC = ("cp1257", "iso8859_13", "iso8859_4", "cp775")
_TURKISH = ("cp1254", "cp857", "mac_turkish")
_ARABIC = ("cp1256", "iso8859_6", "cp720")

_FRENCH = "àâæçéèêëîïôœùûüÿ"
_SPANISH = "áéíñóúüªº"
_NORDIC = "æøåäöüéèêóòôáà"

_SIMPLIFIED = (
    "的一是不了我在人有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "么么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
    "什谁吗呢吧啊问知快走让给很想现别等再真意怎哪谢请回找死叫爱话位吃钱朋友帮"
)
_TRADITIONAL = (
    "的一是不了我在人有他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後"
    "麼心多天而能好都然沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長"
    "什誰嗎呢吧啊問知快走讓給很想現別等再真意怎哪謝請回找死叫愛話位吃錢朋友幫"
)
_CHINESE = "".join(dict.fromkeys(_SIMPLIFIED + _TRADITIONAL))
_KANA = "のにたいをはしがてでかなとれらもっすりこだまさきめくあけどよえうわせそ"
_KOREAN = "이다는에가을를은도하고지의나아니어거그해사서기자대로정말요게있한내네야안저"
_GREEK = "αοιετσνηυρπκμςλάδωίόγέθήχύβφώξζψϊΐ"
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_UKRAINIAN = "оаинвіетрслкдумпзяьбгчйхцюїшжщєфґы"
_SERBIAN_CYRILLIC = "аоиеунсрјтклвдмпзгбчшхћжцљњђџф"
_ARABIC_LETTERS = "اليمنوتربعسدكقفهحجصشطخأةذغثضزظىإءئؤآ،؟"
_PERSIAN_LETTERS = "ایيمنورتبدسهکكشزفگخقعحجچپلصطآضذثغظژئأ،؟"

WRITING_SYSTEMS: Mapping[str, WritingSystem] = MappingProxyType(
    {
        "af": WritingSystem(_WESTERN, "áéèêëíîïôöúûü"),
        "ar": WritingSystem(_ARABIC, _ARABIC_LETTERS, is_latin=False),
        "be": WritingSystem(_CYRILLIC, "анеіоысртлкдуямвьпзбгчцшхўйжёэюф", is_latin=False),
        "bg": WritingSystem(_CYRILLIC, "аоиетнрсвлдпкмзуягъбчцщжхшйюфь", is_latin=False),
        "bs": WritingSystem(_CENTRAL, "čćđšž"),
        "ca": WritingSystem(_WESTERN, "àçéèíïóòúü·"),
        "cs": WritingSystem(_CENTRAL, "áčďéěíňóřšťúůýž"),
        "cy": WritingSystem(("iso8859_14", "cp1252"), "âêîôûŵŷáéíóöïü"),
        "da": WritingSystem(_WESTERN, _NORDIC),
        "de": WritingSystem(_WESTERN, "äöüßéà"),
        "el": WritingSystem(
            ("cp1253", "iso8859_7", "cp737"), "αοιετσνηυρπκμςλάδωίόγέθήχύβφώξζψϊΐ", False
        ),
        "en": WritingSystem(
            _WESTERN, "".join(dict.fromkeys(_FRENCH + _SPANISH + _NORDIC + "ßìãõôï"))
        ),
        "eo": WritingSystem(("iso8859_3",), "ĉĝĥĵŝŭ"),
        "es": WritingSystem(_WESTERN, _SPANISH),
        "et": WritingSystem((*_BALTIC, "cp1252"), "äõöüšž"),
        "eu": WritingSystem(_WESTERN, "ñçü"),
        "fa": WritingSystem(_ARABIC, _PERSIAN_LETTERS, is_latin=False),
        "fi": WritingSystem(_WESTERN, "äöåéšž"),
        "fo": WritingSystem(_WESTERN, "áæðíóøúý"),
        "fr": WritingSystem(_WESTERN, _FRENCH),
        "ga": WritingSystem(_WESTERN, "áéíóú"),
        "gl": WritingSystem(_WESTERN, "áéíñóúüï"),
        "he": WritingSystem(("cp1255", "iso8859_8", "cp862"), "יוהלאתרמבשנחדכעםקפגסזטןצךףץ", False),
        "hr": WritingSystem(_CENTRAL, "čćđšž"),
        "hu": WritingSystem(_CENTRAL, "áéíóöőúüű"),
        "id": WritingSystem(_WESTERN, "é"),
        "is": WritingSystem(_WESTERN, "áæéðíóöþúý"),
        "it": WritingSystem(_WESTERN, "àèéìíîòóùú"),
        "ja": WritingSystem(
            ("cp932", "euc_jp"),
            "のにたいをはしがてでかなとれらもっすりこだまさきめくあけどよえうわせそ",
            False,
        ),
        "kk": WritingSystem(("kz1048", "ptcp154"), "аынеідртлсқуүмпоғбкйшөңәзгяхжцюф", False),
        "ko": WritingSystem(
            ("cp949",),
            "이다는에가을를은도하고지의나아니어거그해사서기자대로정말요게있한내네야안저",
            False,
        ),
        "lt": WritingSystem(_BALTIC, "ąčęėįšųūž"),
        "lv": WritingSystem(_BALTIC, "āčēģīķļņšūž"),
        "mk": WritingSystem(_CYRILLIC, "аоиетнрсвлдкпмузјгбчцшжќѓљњѕџхф", is_latin=False),
        "mt": WritingSystem(("iso8859_3",), "ċġħżàèìòù"),
        "nb": WritingSystem(_WESTERN, _NORDIC),
        "nl": WritingSystem(_WESTERN, "áéèëêïíóöüûúàç"),
        "nn": WritingSystem(_WESTERN, _NORDIC),
        "no": WritingSystem(_WESTERN, _NORDIC),
        "pl": WritingSystem(_CENTRAL, "ąćęłńóśźż"),
        "pt": WritingSystem(_WESTERN, "áàâãçéêíóôõúüªº"),
        "ro": WritingSystem((*_CENTRAL[:2], "iso8859_16", *_CENTRAL[2:]), "ăâîșțşţ"),
        "ru": WritingSystem(_CYRILLIC, _RUSSIAN, is_latin=False),
        "sk": WritingSystem(_CENTRAL, "áäčďéíĺľňóôŕšťúýž"),
        "sl": WritingSystem(_CENTRAL, "čšžćđ"),
        "sq": WritingSystem(("cp1252", "cp1250", "cp850"), "çë"),
        "sv": WritingSystem(_WESTERN, _NORDIC),
        "th": WritingSystem(("cp874",), "านรอกเงมยลวดทตสตปบหแจพชขใไคผโถธซศณฉฟภฐฮญฝ็่้๊๋์ิีืึุูัำะๆ", False),
        "tr": WritingSystem(_TURKISH, "çğıöşüâîû"),
        "uk": WritingSystem(
            ("cp1251", "koi8_u", "iso8859_5", "cp1125", "mac_cyrillic"), _UKRAINIAN, is_latin=False
        ),
        "vi": WritingSystem(("cp1258",), "ăâđêôơưáàéèíìóòúùýãõ\u0300\u0301\u0303\u0309\u0323"),
        "zh": WritingSystem(("gb18030", "big5hkscs", "cp950"), _CHINESE, False),
    }
)
"""By primary language; for Serbian, which has two scripts, see `writing_systems_of`."""

_SERBIAN = (
    WritingSystem(_CENTRAL, "čćđšž"),
    WritingSystem(_CYRILLIC, _SERBIAN_CYRILLIC, is_latin=False),
)


def writing_systems_of(language: str) -> tuple[WritingSystem, ...]:
    """Return the writing systems of a language (primary tag such as `ru`); empty if unknown."""
    if language in {"sr", "sh"}:
        return _SERBIAN
    return (WRITING_SYSTEMS[language],) if language in WRITING_SYSTEMS else ()
