"""Every numeric setting has bounds, so that a typo cannot exhaust the machine."""

from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import ConfigurationError


def numbers(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield names and fields of all settings that are numbers."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from numbers(kind, f"{prefix}{name}.")
        elif {int, float} & _parts(kind):
            yield f"{prefix}{name}", field


def _parts(kind: object) -> set[object]:
    """Return the types that an annotation is made of."""
    arguments = () if get_origin(kind) is Literal else get_args(kind)
    return {part for each in arguments for part in _parts(each)} or {kind}


NUMBERS = dict(numbers(Settings))


def test_there_are_numbers():
    assert len(NUMBERS) > 50
    assert {"threads", "model.layers", "evaluation.folds"} <= NUMBERS.keys()


@pytest.mark.parametrize("value", [1e300, -1e300, float("inf"), float("nan"), 10**30, -(10**30)])
@pytest.mark.parametrize("name", NUMBERS)
def test_an_impossible_number_is_refused(name: str, value: float):
    *section, last = name.split(".")
    given: dict[str, object] = {last: value}
    for each in section:
        given = {each: given}
    with pytest.raises(ConfigurationError, match=rf"Setting '{name}' cannot be used") as caught:
        load_settings(**given)
    assert len(str(caught.value)) <= 300
