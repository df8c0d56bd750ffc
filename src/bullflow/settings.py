"""The settings: one frozen object, read and checked whole at the start.

Every field is a `BULLFLOW_*` variable; the commands give flags for those that change often.
No other module reads the environment.
"""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bullflow.errors import Misconfigured

MIB = 1024 * 1024
FOREVER = "forever"
SQLITE_FILE = "bullflow.db"


def _database_url(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return url


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return url


def _seconds(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value.replace(".", "", 1).isdigit() else value


def _seconds_or_forever(value: Any) -> Any:
    if value == FOREVER:
        return None
    read = _seconds(value)
    if isinstance(read, str) and not read.startswith("P"):
        raise ValueError(f"must be a number of seconds, or {FOREVER}")
    return read


def _several(value: Any) -> Any:
    """Several names, as JSON or with commas between."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [name.strip() for name in value.split(",") if name.strip()]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be names with commas between, or a JSON list of them: ["one", "two"]') from None


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if re.fullmatch(r"https?://[^/?#@\s]+", origin) is None:
            raise ValueError(f"{origin!r} is not where pages come from, like https://ops.example, without a path")
    return origins


def _token(token: str | None) -> str | None:
    token = (token or "").strip()
    if re.fullmatch(r"[!-~]*", token) is None:
        raise ValueError("is no token; it is what `bullflow tokens create NAME` prints, one word")
    return token or None


Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_several)]
Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
SecondsOrForever = Annotated[timedelta | None, BeforeValidator(_seconds_or_forever)]


class Settings(BaseSettings):
    """What an operator can set. Durations are seconds in the environment."""

    model_config = SettingsConfigDict(env_prefix="BULLFLOW_", frozen=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Field(Path(".bullflow"), description="Where the embedded database and engine keep their files.")
    database_url: Annotated[str, AfterValidator(_database_url)] | None = Field(
        None, description="The store. SQLite in the data directory when it is not given."
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = Field(
        None, description="The engine. An embedded Valkey when it is not given."
    )
    prefix: str = Field("bull", pattern=r"^[A-Za-z0-9_\-{}]{1,64}$", description="BullMQ's key prefix.")
    url: str = Field("http://127.0.0.1:8420", description="Where the commands and clients find the service.")
    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65535, description="0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"

    max_jobs: int = Field(10_000, ge=1, description="Jobs in one flow.")
    max_flows: int = Field(1_000, ge=1, description="Flows in one bulk request.")
    max_depth: int = Field(100, ge=1, le=120, description="Levels of one flow.")
    max_data_bytes: int = Field(MIB, ge=1, description="Bytes of one job's data as JSON.")
    max_result_bytes: int = Field(MIB, ge=1, description="Bytes of one job's result as JSON, checked by the worker.")
    max_log_lines: int = Field(1_000, ge=1, description="Log lines kept of one job; the oldest go first.")
    max_body_bytes: int = Field(32 * MIB, ge=1, description="Bytes of one request.")
    socket_buffer: int = Field(2_000, ge=1, description="Messages that wait for a slow WebSocket before it is cut.")
    max_subscriptions: int = Field(1_000, ge=1, description="Flows that one WebSocket may follow.")

    keep_flows: SecondsOrForever = Field(
        timedelta(days=30), ge=timedelta(minutes=1), description="How long ended flows are kept; `forever` is possible."
    )
    engine_keep: Seconds = Field(
        timedelta(hours=1), ge=timedelta(minutes=1), description="How long the engine keeps ended jobs."
    )
    stream_length: int = Field(100_000, ge=1_000, description="Entries kept in a queue's event stream.")
    lease: Seconds = Field(
        timedelta(seconds=6), ge=timedelta(seconds=0.1), description="A silent recorder is replaced after this long."
    )
    stop_timeout: Seconds = Field(
        timedelta(seconds=30), ge=timedelta(0), description="How long running jobs may take to finish."
    )
    concurrency: int | None = Field(None, ge=1, le=10_000, description="Jobs at once; overrides the worker's own.")

    auth: Literal["local", "token", "none"] = Field(
        "local",
        description="`local`: this machine only, without tokens; `token`: whoever shows one; `none`: no tokens.",
    )
    token: Annotated[str | None, AfterValidator(_token)] = Field(
        None, repr=False, description="What commands and clients show a service that asks."
    )
    session_length: Seconds = Field(
        timedelta(days=7), ge=timedelta(minutes=1), description="How long a sign-in to the dashboard holds."
    )
    keep_audit: SecondsOrForever = Field(
        timedelta(days=365), ge=timedelta(minutes=1), description="How long it is known who did what."
    )
    redact: Several = Field(
        (),
        description="What tokens without the scope `payloads` do not see: names of keys, or JSON pointers with `*` for"
        ' any step: ["password", "/card/number"].',
    )
    create_rate: float | None = Field(
        None, gt=0, description="Flows a second that one user may create in the long run; no limit when not given."
    )
    create_burst: int = Field(1_000, ge=1, description="Flows that one user may create at once, where a rate is set.")
    max_running_flows: int | None = Field(None, ge=1, description="Flows of one user that may run at the same time.")
    max_stored_bytes: int | None = Field(
        None, ge=1, description="Bytes of data and results that flows of one user may have in the store."
    )
    max_sockets: int = Field(10_000, ge=1, description="WebSockets and event streams of one user at the same time.")

    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded headers are believed, with commas between; * for all."
    )
    cors_origins: Annotated[Several, AfterValidator(_origins)] = Field(
        (), description='Other sites whose pages may use the API with a token: ["https://ops.example"].'
    )
    allowed_hosts: Several = Field(
        (),
        description='Host names, besides the loopback ones, under which the service is reached: ["flows.example"].',
    )

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / SQLITE_FILE}"


def load(**flags: Any) -> Settings:
    """The settings from the environment, with the flags that were given laid over them."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise Misconfigured("\n".join(_fault(part) for part in error.errors())) from None


def _fault(part: Any) -> str:
    name = ".".join(str(step) for step in part["loc"])
    given = part["input"]
    told = f"{given.total_seconds():g}" if isinstance(given, timedelta) else repr(given)
    # A url may hold a password, and this goes to terminals and logs.
    shown = "…" if name == "token" else re.sub(r"://[^/]*@", "://…@", told)
    return f"BULLFLOW_{name.upper()}={shown}: {part['msg'].removeprefix('Value error, ')}"
