"""One settings object for every process, read from the environment (BATON_*) and checked at start."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is wrong; the message is one sentence for the person who set it."""


class Settings(BaseSettings):
    """What may differ between machines. Every field is documented in docs/settings.md, which a test holds."""

    model_config = SettingsConfigDict(env_prefix="BATON_", extra="ignore", frozen=True)

    kafka: str = Field("", description="Kafka's bootstrap servers, host:port. Empty: the local stack's.")
    kafka_properties: str = Field(
        "", description="File of librdkafka's properties for those: TLS and sign-in (docs/kafka.md). Empty: neither."
    )
    postgres: str = Field("", description="Postgres' address, postgresql://… Empty: the local stack's.")
    valkey: str = Field("", description="Valkey's or Redis' address, redis://… Empty: the local stack's.")
    home: Path = Field(Path(".baton"), description="Folder of the local stack: data, logs, addresses.")
    namespace: str = Field("", pattern=r"^[a-z0-9.-]*$", description="Prefix of every topic, group and key.")
    partitions: int = Field(
        8, ge=1, le=1024,
        description="Partitions of keyed topics at creation. A new `baton up` takes one for two cores, 8 at most.",
    )  # fmt: skip
    reply_slots: int = Field(16, ge=1, le=1024, description="Partitions of replies: gateways that can run at once.")
    slot: int = Field(0, ge=0, le=1023, description="This process' slot: its identity to Kafka.")
    batch_limit: int = Field(2_000, ge=1, le=10_000, description="Commands in one transaction, at most.")
    state_format: int = Field(2, ge=1, le=2, description="Form of states written: 1 until every worker reads 2.")
    quote_key: str = Field(
        "",
        pattern=r"^(.{16,200})?$",
        description="Secret that seals quotes and marks PINs, 16 characters or more. Empty: a file in BATON_HOME.",
    )
    health_port: int = Field(0, ge=0, le=65535, description="Port of /health, /ready and /metrics. 0: any free one.")
    gateway_host: str = Field(
        "127.0.0.1", description="Where the gateway listens. Without sign-in only the loopback is allowed."
    )
    gateway_port: int = Field(8080, ge=0, le=65535, description="The gateway's port.")
    socket_devices: int = Field(1, ge=1, le=10, description="Devices of one driver connected at once.")
    connections_max: int = Field(
        12_000, ge=16, le=1_000_000, description="Connections that a gateway has open, at most."
    )
    requests_at_once: int = Field(
        1_000, ge=1, le=100_000, description="Requests that a gateway works on at once, at most."
    )
    body_timeout_s: float = Field(10.0, gt=0, le=600, description="How long a request's body may take to arrive.")
    request_timeout_s: float = Field(30.0, gt=0, le=600, description="How long a request may take; streams may go on.")
    drain_s: float = Field(
        0.3, ge=0, le=300, description="How long a gateway asked to end still listens, with /ready at 503."
    )
    drain_limit_s: int = Field(5, ge=1, le=300, description="How long running requests then have to end.")
    access_log: str = Field(
        "all", pattern="^(all|failures|none)$", description="Which requests are logged: all, failures, none."
    )
    cors_origins: str = Field("", description="Origins of browser apps that may ask, parted by blanks. Empty: none.")
    trusted_proxies: str = Field(
        "", description="Addresses of proxies whose X-Forwarded-For is believed, parted by blanks."
    )
    behind_tls: bool = Field(False, description="Whether clients come by TLS: they are told to stay with it (HSTS).")
    rate_open_per_s: float = Field(50, gt=0, description="Requests a second of an address at doors without sign-in.")
    rate_read_per_s: float = Field(
        50, gt=0, description="Reads a second of one who signed in. Twice of it, 20 at least, may come at once."
    )
    rate_write_per_s: float = Field(25, gt=0, description="Acts a second of one who signed in.")
    rate_ping_per_s: float = Field(50, gt=0, description="Pings and heartbeats a second of one driver, by HTTP.")
    rate_admin_per_s: float = Field(25, gt=0, description="Acts of operations a second of one who signed in.")
    rate_stream_per_s: float = Field(25, gt=0, description="Sockets and streams opened a second by one who signed in.")
    rate_service_factor: float = Field(
        40, ge=1, description="How many times as much order services and admins may ask."
    )
    reply_timeout_s: float = Field(5.0, gt=0, le=60, description="How long a request waits for its decision.")
    geo_timeout_ms: int = Field(50, ge=1, le=5_000, description="Time limit of a candidate lookup in Valkey.")
    osrm: str = Field(
        "", pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$",
        description="Address of a routing engine OSRM, http://… Empty: travel times by distance and pace.",
    )  # fmt: skip
    osrm_timeout_ms: int = Field(40, ge=1, le=5_000, description="Time limit of a batch's travel times.")
    sign_in_key_file: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = Field(
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
    audit_key_file: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = Field(
        None, description="File with the private key that signs the audit's anchors and exports. docs/audit.md."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log line.")
    notify_customer: str = Field("", description="Where customers are told: URLs parted by blanks, docs/notices.md.")
    notify_driver: str = Field("", description="Where drivers are told.")
    notify_operations: str = Field("", description="Where operations are told.")
    notify_support: str = Field("", description="Where support tickets are sent.")
    webhook_secret: str = Field("", repr=False, description="Signs webhooks: base64, as Standard Webhooks has it.")
    webhook_key: str = Field(
        "", repr=False, pattern=r"^(.{16,200})?$",
        description="Seals sellers' webhook secrets, 16 characters or more. Empty: a file in BATON_HOME.",
    )  # fmt: skip
    webhook_retries_s: str = Field(
        "5 300 1800 7200 18000 36000 50400 72000 86400",
        pattern=r"^[0-9]{1,6}(\.[0-9]+)?( [0-9]{1,6}(\.[0-9]+)?){0,19}$",
        description="Pauses before a seller's webhook is tried again; after the last the endpoint is disabled.",
    )  # fmt: skip
    webhook_timeout_s: float = Field(15.0, gt=0, le=60, description="How long a seller's server may take to answer.")
    webhook_loopback: bool = Field(False, description="For development: webhooks may go to this machine, also by http.")
    webhook_ca: str = Field("", description="File with more certificate authorities to believe sellers' servers by.")
    tracking_url: str = Field(
        "", pattern=r"^(https?://[^\s]+)?$",
        description="What stands before the token in customers' tracking URLs. Empty: the gateway's own /v2/track/.",
    )  # fmt: skip
    tracking_after_s: int = Field(
        7_200, ge=0, le=2_592_000, description="How long after a delivery ended its tracking URLs open."
    )
    language: str = Field("en", description="Of notices to those whose language is not known: en, de, es, hi.")


_NOTICED = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""libpq's names; seconds, and of the last milliseconds."""


def noticing(postgres: str) -> str:
    """The address, with which a connection whose other end is gone without a word is noticed within half a minute.

    As the system has it, it would be waited on for two hours. What the address says itself stays as it is said.
    """
    wanted = [f"{name}={value}" for name, value in _NOTICED.items() if f"{name}=" not in postgres]
    if not postgres or not wanted:
        return postgres
    if "://" not in postgres:
        return " ".join((postgres, *wanted))
    return postgres + ("&" if "?" in postgres else "?") + "&".join(wanted)


def load() -> Settings:
    """Settings from the environment. Raises SettingsError naming the variable, the value and what is wanted."""
    try:
        settings = Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = "BATON_" + "_".join(str(part) for part in first["loc"]).upper()
        seen = "not what is wanted" if name.endswith("_KEY") else repr(first["input"])
        raise SettingsError(f"{name} is {seen}: {first['msg']}") from error
    if settings.kafka_properties:
        _check_kafka(settings)
    return settings


def _check_kafka(settings: Settings) -> None:
    from dispatch.log.connecting import BadProperties, checked

    if not settings.kafka:
        raise SettingsError("BATON_KAFKA_PROPERTIES is for the brokers of BATON_KAFKA, which is not set")
    try:
        checked(settings.kafka_properties)
    except BadProperties as error:
        raise SettingsError(str(error)) from error
