"""Settings of the three encoders."""

from pydantic import Field, PositiveInt, SecretStr

from mediafm_core.config.section import Section


class EncoderSettings(Section):
    """One modality's encoder; without a name, the profile's."""

    name: str | None = Field(
        None, description="encoder, by its name in mediafm_core.encoders.profiles"
    )
    model: str | None = Field(
        None, description="hub name or local checkpoint folder, for encoders that take one"
    )
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{64}$",
        description="of the checkpoint's file of weights, as `sha256sum` prints it: any other file "
        "is refused; packaged weights are always compared with the published ones",
    )
    dimension: PositiveInt | None = Field(
        None, le=65_536, description="width of the vectors, for encoders that offer several"
    )
    batch_size: PositiveInt = Field(
        16, le=65_536, description="items per call; does not change results"
    )


class TextEncoderSettings(EncoderSettings):
    """The text encoder; the API settings concern `openai` only."""

    batch_size: PositiveInt = Field(
        64, le=65_536, description="texts per call; does not change results"
    )
    base_url: str | None = Field(
        None,
        description="any OpenAI-compatible endpoint, without user, password and query; falls back "
        "to OPENAI_BASE_URL",
    )
    api_key: SecretStr | None = Field(
        None, description="falls back to OPENAI_API_KEY; never logged"
    )
    timeout_s: float = Field(
        60.0, gt=0, le=3600, description="for one request, from its start to the last byte, seconds"
    )
    max_retries: int = Field(
        6, ge=0, le=100, description="on 429, 5xx, time-outs and unusable answers, with back-off"
    )
    usd_per_million_tokens: float = Field(
        0.13, ge=0, le=1e6, description="for the cost in the metadata"
    )
