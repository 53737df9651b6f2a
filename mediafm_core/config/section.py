"""Base class of the groups of settings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mediafm_core.config.renamed_settings import new_name, with_new_names, with_recorded_names

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
PrecisionSetting = Literal["auto", "float32", "bfloat16"]


class Section(BaseModel):
    """A group of settings; an unknown name is an error, so that a misspelling is noticed.

    Attributes:
        section: name of the group, in those groups of which a setting has been renamed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    section: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return with_new_names(cls.section, values, stacklevel=4)  # behind pydantic's constructor

    def recorded(self, exclude: set[str] | None = None) -> dict[str, Any]:
        """Return the values as JSON types, under the names that stored files and digests have.

        Args:
            exclude: settings that are left out, by their names here.
        """
        return with_recorded_names(self.section, self.model_dump(mode="json", exclude=exclude))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, which are not validated; old names are accepted."""
        values = with_new_names(self.section, update or {}, stacklevel=3)
        return super().model_copy(update=values, deep=deep)

    if not TYPE_CHECKING:  # it would hide misspelt attributes from type checkers

        def __getattr__(self, name: str) -> Any:
            """Return a setting by its old name."""
            new = new_name(self.section, name, stacklevel=3)
            return super().__getattr__(name) if new is None else getattr(self, new)
