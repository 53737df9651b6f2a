"""Settings of access: SQL queries, Dagster's UI."""

import re
from typing import Self

from pydantic import Field, SecretStr, model_validator

from mediafm_core.config.section import Section


class QuerySettings(Section):
    """Limits of a query in SQL: of `mediafm sql`, and of conditions (`where`)."""

    memory_gib: float = Field(
        4.0, ge=0.25, le=4096, description="memory of the process that runs a query"
    )
    time_s: float = Field(
        600.0, gt=0, le=86_400, description="seconds after which a query is ended"
    )


class UISettings(Section):
    """Access to Dagster's UI, as `mediafm ui` serves it."""

    hosts: tuple[str, ...] = Field(
        (),
        description="names, as a JSON list, that browsers may reach the UI by, beside this "
        "machine's own name and addresses; a reverse proxy's, for instance",
    )
    token: SecretStr | None = Field(
        None,
        description="required of every browser, at least 16 characters; if not given, a random "
        "one where "
        "the UI listens beyond this machine, and none where it does not",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        token = self.token.get_secret_value() if self.token else None
        if token is not None and not re.fullmatch(r"[!-~]{16,512}", token):
            raise ValueError(
                "`token` must have 16 to 512 characters of ASCII, without spaces: make one with "
                "`openssl rand -hex 16`"
            )
        for name in self.hosts:
            if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})", name):
                raise ValueError(
                    f"`hosts` has {name[:80]!r}: give names of machines, such as mediafm.example, "
                    "without scheme or port"
                )
        return self
