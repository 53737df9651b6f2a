"""Names of settings, and refusal of names that are none: a misspelling must not be ignored."""

import difflib
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from mediafm_core.config.removed_settings import REMOVED_SETTINGS
from mediafm_core.config.renamed_settings import old_setting_names
from mediafm_core.errors import ConfigurationError

PREFIX = "MEDIAFM_"
# Variables of the command line (`--debug`, the TOML file) and of the tests (CONTRIBUTING.md).
OTHER_VARIABLES = frozenset(
    {"MEDIAFM_CONFIG", "MEDIAFM_DEBUG", "MEDIAFM_SHARED", "MEDIAFM_SCREENSHOTS"}
)


def setting_names(settings: type[BaseModel], section: str = "") -> Iterator[str]:
    """Yield the names of all settings and sections, such as `store`, `training.steps`."""
    for name, field in settings.model_fields.items():
        yield f"{section}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{section}{name}.")


def variable_of(name: str) -> str:
    """Return the environment variable of a setting: `MEDIAFM_TRAINING__STEPS`."""
    return PREFIX + name.upper().replace(".", "__")


def refuse_unknown_variables(settings: type[BaseModel], variables: Iterable[str]) -> None:
    """Refuse a variable that begins like a setting's and is none.

    Args:
        settings: the class of all settings.
        variables: names of environment variables; upper and lower case are the same.

    Raises:
        ConfigurationError: there is such a variable, with the names that are nearest to it, or
            with what holds in place of a setting that was removed.
    """
    known = {variable_of(name) for name in setting_names(settings)} | OTHER_VARIABLES
    old = {variable_of(name) for name in old_setting_names()}
    removed = {variable_of(name): name for name in REMOVED_SETTINGS}
    for variable in sorted(variables):
        name = variable.upper()
        if name in removed:
            raise ConfigurationError(_removed(removed[name], f" ({variable})", "unset it"))
        if name.startswith(PREFIX) and name not in known | old:
            raise ConfigurationError(
                f"There is no setting for the environment variable {variable}: "
                f"{_remedy(name, known, 'unset it')}."
            )


def unknown_setting(settings: type[BaseModel], name: str, file: str | None) -> str:
    """Return the sentence about a name in a settings file that is no setting's."""
    where = f" ({file})" if file else ""
    if name in REMOVED_SETTINGS:
        return _removed(name, where, "remove it")
    remedy = _remedy(name, setting_names(settings), "remove it")
    return f"There is no setting {name!r}{where}: {remedy}."


def _removed(name: str, where: str, remedy: str) -> str:
    return f"The setting {name}{where} was removed, {REMOVED_SETTINGS[name]}: {remedy}."


def _remedy(name: str, known: Iterable[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    if near:
        return f"did you mean {near[0]}? See docs/reference/configuration.md"
    return f"{otherwise}, or take a name from docs/reference/configuration.md"
