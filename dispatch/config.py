"""One settings object for every process, read from the environment (BATON_*) and checked at start."""

from functools import cached_property
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is wrong; the message is one sentence for the person who set it."""


class Settings(BaseSettings):
    """What may differ between machines. Every field is documented in docs/settings.md, which a test holds."""

    model_config = SettingsConfigDict(env_prefix="BATON_", extra="ignore", frozen=True)

    kafka: str = Field("", description="Kafka's bootstrap servers, host:port. Empty: the local stack's.")
    postgres: str = Field("", description="Postgres' address, postgresql://… Empty: the local stack's.")
    valkey: str = Field("", description="Valkey's or Redis' address, redis://… Empty: the local stack's.")
    home: Path = Field(Path(".baton"), description="Folder of the local stack: data, logs, addresses.")
    namespace: str = Field("", pattern=r"^[a-z0-9.-]*$", description="Prefix of every topic, group and key.")
    partitions: int = Field(8, ge=1, le=1024, description="Partitions of the keyed topics, at creation.")
    reply_slots: int = Field(16, ge=1, le=1024, description="Partitions of replies: gateways that can run at once.")
    slot: int = Field(0, ge=0, le=1023, description="This process' slot: its identity to Kafka.")
    batch_limit: int = Field(2_000, ge=1, le=10_000, description="Commands in one transaction, at most.")
    state_format: int = Field(2, ge=1, le=2, description="Form of states written: 1 until every worker reads 2.")
    quote_key: str = Field(
        "",
        pattern=r"^(.{16,200})?$",
        description="Secret that seals quotes, 16 characters or more. Empty: a file in BATON_HOME.",
    )
    health_port: int = Field(0, ge=0, le=65535, description="Port of /health, /ready and /metrics. 0: any free one.")
    gateway_host: str = Field("127.0.0.1", description="Where the gateway listens. Without sign-in only the loopback is allowed.")
    gateway_port: int = Field(8080, ge=0, le=65535, description="The gateway's port.")
    reply_timeout_s: float = Field(5.0, gt=0, le=60, description="How long a request waits for its decision.")
    geo_timeout_ms: int = Field(50, ge=1, le=5_000, description="Time limit of a candidate lookup in Valkey.")
    osrm: str = Field(
        "", pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$",
        description="Address of a routing engine OSRM, http://… Empty: travel times by distance and pace.",
    )  # fmt: skip
    osrm_timeout_ms: int = Field(40, ge=1, le=5_000, description="Time limit of a batch's travel times.")
    sign_in_key_file: Path | None = Field(
        None, description="File with the public keys that tokens are signed with: PEM or JWKS. docs/sign-in.md."
    )
    sign_in_jwks: str = Field(
        "",
        pattern=r"^(https://[^\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?(/[^\s]*)?)?$",
        description="Address of the issuer's JWKS, https://… Instead of the file.",
    )
    sign_in_issuer: str = Field("baton-local", min_length=1, description="Who issues tokens: their `iss`.")
    sign_in_audience: str = Field("baton", min_length=1, description="Whom tokens are for: their `aud`.")
    sign_in_longest_s: int = Field(86_400, ge=60, le=31_536_000, description="How long a token may live.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log line.")
    notify_customer: str = Field("", description="Where customers are told: URLs parted by blanks, docs/notices.md.")
    notify_driver: str = Field("", description="Where drivers are told.")
    notify_operations: str = Field("", description="Where operations are told.")
    notify_support: str = Field("", description="Where support tickets are sent.")
    webhook_secret: str = Field("", repr=False, description="Signs webhooks: base64, as Standard Webhooks has it.")
    language: str = Field("en", description="Of notices to those whose language is not known: en, de, es, hi.")

    @cached_property
    def postgres_dsn(self) -> str:
        """The address as psycopg wants it."""
        return self.postgres


def load() -> Settings:
    """Settings from the environment. Raises SettingsError naming the variable, the value and what is wanted."""
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = "BATON_" + "_".join(str(part) for part in first["loc"]).upper()
        seen = "not what is wanted" if name.endswith("_KEY") else repr(first["input"])
        raise SettingsError(f"{name} is {seen}: {first['msg']}") from error
