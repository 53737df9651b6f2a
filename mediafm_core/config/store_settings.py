"""Settings of the store: S3, publishing, verification."""

from typing import Literal

from pydantic import Field, PositiveInt, SecretStr, model_validator

from mediafm_core.config.location import LocalPath
from mediafm_core.config.section import Section


class S3Settings(Section):
    """Access to an inbox or store in S3; unused where neither is there."""

    endpoint_url: str | None = Field(
        None, description="address of the service; Amazon's if not given"
    )
    region: str | None = Field(None, description="falls back to AWS_REGION and the AWS profile")
    access_key_id: SecretStr | None = Field(
        None, description="without the two keys, AWS's usual chain: environment, profile, role"
    )
    secret_access_key: SecretStr | None = Field(None, description="never logged")
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="bucket in the path or in the host name; many own endpoints need `path`"
    )
    connect_timeout_s: float = Field(5.0, gt=0, le=600, description="for a connection, seconds")
    read_timeout_s: float = Field(20.0, gt=0, le=3600, description="without any byte, seconds")
    max_attempts: PositiveInt = Field(
        8,
        le=100,
        description="of a request, on 5xx, throttling, time-outs and cut transfers, with back-off",
    )
    lease_s: float = Field(
        60.0,
        ge=2,
        le=86_400,
        description="after which the lock of a process that died is free, seconds",
    )
    cache: LocalPath | None = Field(
        None,
        description="local folder of cached files and of work in progress; `mediafm` in the "
        "user's cache "
        "folder if not given",
    )
    cache_gib: float = Field(
        50.0,
        gt=0,
        le=1e6,
        description="size limit of the cached files; the least recently used are evicted first",
    )

    @model_validator(mode="after")
    def _keys_in_their_place(self) -> "S3Settings":
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("give both access_key_id and secret_access_key, or neither")
        if "@" in (self.endpoint_url or ""):  # messages and the UI show the address
            raise ValueError(
                "endpoint_url holds a name or key: leave it out, set access_key_id and "
                "secret_access_key"
            )
        return self


class PublishingSettings(Section):
    """Publication of features to readers."""

    fused_vectors: bool = Field(
        False,
        description="publish the pooled fused vector of each clip beside its contextual one "
        "(column `fused` of `clip_features`); after a change the next run pools every title's "
        "clips again, without a network",
    )
    failed_titles: Literal["drop", "hold"] = Field(
        "drop",
        description="quarantined titles when a new model is complete without them: readers no "
        "longer see them, or keep the old model until the titles are fixed",
    )
    grace_s: float = Field(
        24 * 3600.0,
        ge=0,
        le=366 * 86_400,
        description="seconds for which `mediafm clean` keeps files of features that are no longer "
        "part of the catalogue, for clients that have it open",
    )


class VerificationSettings(Section):
    """Verification of the store's files against their checksums."""

    nights: PositiveInt = Field(
        7,
        le=366,
        description="nights over which the job `verify_catalogue` spreads the files of the store: "
        "it reads a part each night, and each file once in so many",
    )
