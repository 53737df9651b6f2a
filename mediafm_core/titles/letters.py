"""Letters and older encodings of the languages that captions come in."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Writing(NamedTuple):
    """Writing of a language in files that are not Unicode.

    Attributes:
        encodings: Python's names, the likeliest first.
        letters: lower-case letters beyond ASCII. Of an alphabet other than Latin all of them, the
            commonest in running text first; of Chinese, Japanese and Korean the commonest
            characters only.
        is_latin: ASCII letters belong to its words.
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

WRITINGS: Mapping[str, Writing] = MappingProxyType(
    {
        "af": Writing(_WESTERN, "áéèêëíîïôöúûü"),
        "ar": Writing(_ARABIC, _ARABIC_LETTERS, is_latin=False),
        "be": Writing(_CYRILLIC, "анеіоысртлкдуямвьпзбгчцшхўйжёэюф", is_latin=False),
        "bg": Writing(_CYRILLIC, "аоиетнрсвлдпкмзуягъбчцщжхшйюфь", is_latin=False),
        "bs": Writing(_CENTRAL, "čćđšž"),
        "ca": Writing(_WESTERN, "àçéèíïóòúü·"),
        "cs": Writing(_CENTRAL, "áčďéěíňóřšťúůýž"),
        "cy": Writing(("iso8859_14", "cp1252"), "âêîôûŵŷáéíóöïü"),
        "da": Writing(_WESTERN, _NORDIC),
        "de": Writing(_WESTERN, "äöüßéà"),
        "el": Writing(
            ("cp1253", "iso8859_7", "cp737"), "αοιετσνηυρπκμςλάδωίόγέθήχύβφώξζψϊΐ", False
        ),
        "en": Writing(_WESTERN, "".join(dict.fromkeys(_FRENCH + _SPANISH + _NORDIC + "ßìãõôï"))),
        "eo": Writing(("iso8859_3",), "ĉĝĥĵŝŭ"),
        "es": Writing(_WESTERN, _SPANISH),
        "et": Writing((*_BALTIC, "cp1252"), "äõöüšž"),
        "eu": Writing(_WESTERN, "ñçü"),
        "fa": Writing(_ARABIC, _PERSIAN_LETTERS, is_latin=False),
        "fi": Writing(_WESTERN, "äöåéšž"),
        "fo": Writing(_WESTERN, "áæðíóøúý"),
        "fr": Writing(_WESTERN, _FRENCH),
        "ga": Writing(_WESTERN, "áéíóú"),
        "gl": Writing(_WESTERN, "áéíñóúüï"),
        "he": Writing(("cp1255", "iso8859_8", "cp862"), "יוהלאתרמבשנחדכעםקפגסזטןצךףץ", False),
        "hr": Writing(_CENTRAL, "čćđšž"),
        "hu": Writing(_CENTRAL, "áéíóöőúüű"),
        "id": Writing(_WESTERN, "é"),
        "is": Writing(_WESTERN, "áæéðíóöþúý"),
        "it": Writing(_WESTERN, "àèéìíîòóùú"),
        "ja": Writing(
            ("cp932", "euc_jp"),
            "のにたいをはしがてでかなとれらもっすりこだまさきめくあけどよえうわせそ",
            False,
        ),
        "kk": Writing(("kz1048", "ptcp154"), "аынеідртлсқуүмпоғбкйшөңәзгяхжцюф", False),
        "ko": Writing(
            ("cp949",),
            "이다는에가을를은도하고지의나아니어거그해사서기자대로정말요게있한내네야안저",
            False,
        ),
        "lt": Writing(_BALTIC, "ąčęėįšųūž"),
        "lv": Writing(_BALTIC, "āčēģīķļņšūž"),
        "mk": Writing(_CYRILLIC, "аоиетнрсвлдкпмузјгбчцшжќѓљњѕџхф", is_latin=False),
        "mt": Writing(("iso8859_3",), "ċġħżàèìòù"),
        "nb": Writing(_WESTERN, _NORDIC),
        "nl": Writing(_WESTERN, "áéèëêïíóöüûúàç"),
        "nn": Writing(_WESTERN, _NORDIC),
        "no": Writing(_WESTERN, _NORDIC),
        "pl": Writing(_CENTRAL, "ąćęłńóśźż"),
        "pt": Writing(_WESTERN, "áàâãçéêíóôõúüªº"),
        "ro": Writing((*_CENTRAL[:2], "iso8859_16", *_CENTRAL[2:]), "ăâîșțşţ"),
        "ru": Writing(_CYRILLIC, _RUSSIAN, is_latin=False),
        "sk": Writing(_CENTRAL, "áäčďéíĺľňóôŕšťúýž"),
        "sl": Writing(_CENTRAL, "čšžćđ"),
        "sq": Writing(("cp1252", "cp1250", "cp850"), "çë"),
        "sv": Writing(_WESTERN, _NORDIC),
        "th": Writing(("cp874",), "านรอกเงมยลวดทตสตปบหแจพชขใไคผโถธซศณฉฟภฐฮญฝ็่้๊๋์ิีืึุูัำะๆ", False),
        "tr": Writing(_TURKISH, "çğıöşüâîû"),
        "uk": Writing(
            ("cp1251", "koi8_u", "iso8859_5", "cp1125", "mac_cyrillic"), _UKRAINIAN, is_latin=False
        ),
        "vi": Writing(("cp1258",), "ăâđêôơưáàéèíìóòúùýãõ\u0300\u0301\u0303\u0309\u0323"),
        "zh": Writing(("gb18030", "big5hkscs", "cp950"), _CHINESE, False),
    }
)
"""By primary language. Serbian is written in two scripts: see `writings_of`."""

_SERBIAN = (
    Writing(_CENTRAL, "čćđšž"),
    Writing(_CYRILLIC, _SERBIAN_CYRILLIC, is_latin=False),
)


def writings_of(language: str) -> tuple[Writing, ...]:
    """Return the ways a language (primary tag, such as `ru`) is written; none if it is unknown."""
    if language in {"sr", "sh"}:
        return _SERBIAN
    return (WRITINGS[language],) if language in WRITINGS else ()
