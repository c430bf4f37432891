"""The settings themselves, with their defaults and the checks that look at several of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator

from worker.settings.errors import ConfigError, Problem
from worker.settings.sources import Given, environment_name, read_environment, read_toml
from worker.settings.values import (
    SECRET,
    AlertLinkUrls,
    AlertUrls,
    BaseUrl,
    Host,
    HttpUrl,
    Namespace,
    Networks,
    OptionalBaseUrl,
    OptionalPath,
    Rate,
    RateValue,
    Thresholds,
    Word,
    choice,
    duration,
    not_public,
    prefixed,
    redis_server,
    secret,
    secrets,
    whole,
)

DEFAULT_CONFIG = Path("config/settings.toml")
"""Read, where it exists, when no file is named; relative to the working directory."""

_BROKER_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
_SECOND, _HOUR, _DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
_SHORT_TOKEN = 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class CrovverKey:
    """How to sign in to Crovver: an API key, or a service key, which comes with an organization id."""

    secret: SecretStr
    org_id: str | None = None


class Settings(BaseModel):
    """Everything that can be set. Immutable; secrets are masked wherever it is shown.

    A setting's name here is its environment variable without ``SEATS_`` in lower case, and its key in the TOML file.
    `Settings.load` is how processes get theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: Annotated[SecretStr | None, SECRET, redis_server(*_BROKER_SCHEMES)] = None
    state_url: Annotated[SecretStr | None, SECRET, redis_server(*_BROKER_SCHEMES, "redis+cluster")] = None
    namespace: Namespace = "seats"
    min_replicas: Annotated[int | None, whole(0, 16)] = None

    crovver_base_url: BaseUrl = "https://app.crovver.com"
    crovver_api_key: Annotated[SecretStr | None, SECRET, secret(not_public)] = None
    crovver_service_key: Annotated[SecretStr | None, SECRET, secret(not_public)] = None
    crovver_org_id: Word = None
    crovver_rate: RateValue = Rate(50, 1)
    crovver_webhook_secret: Annotated[SecretStr | None, SECRET, secret()] = None

    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], SECRET, secrets(prefixed("whsec_"))] = ()
    stripe_api_key: Annotated[SecretStr | None, SECRET, secret(prefixed("sk_", "rk_"))] = None
    stripe_base_url: BaseUrl = "https://api.stripe.com"

    ingest_tokens: Annotated[tuple[SecretStr, ...], SECRET, secrets()] = ()
    operator_token: Annotated[SecretStr | None, SECRET, secret()] = None
    alert_urls: AlertUrls = ()
    alert_link_urls: AlertLinkUrls = ()
    alert_gather: Annotated[timedelta, duration(timedelta(0), _HOUR)] = timedelta(minutes=1)
    alert_texts: OptionalPath = None
    public_url: OptionalBaseUrl = None

    settle_seconds: Annotated[timedelta, duration(timedelta(0), _HOUR)] = timedelta(seconds=2)
    upgrade_mode: Annotated[Literal["auto", "approval", "alert"], choice("auto", "approval", "alert")] = "auto"
    seat_block: Annotated[int, whole(1, 1_000_000)] = 1
    headroom_seats: Annotated[int, whole(0, 1_000_000)] = 0
    max_capacity: Annotated[int | None, whole(1, 100_000_000)] = None
    repair: Annotated[Literal["off", "allocate"], choice("off", "allocate")] = "off"
    warn_at: Thresholds = (80, 90, 100)
    credits_warn_at: Thresholds = (80, 95, 100)
    credits_every: Annotated[timedelta, duration(timedelta(0), 30 * _DAY)] = timedelta(hours=1)
    paid_deadline: Annotated[timedelta, duration(_SECOND, 7 * _DAY)] = timedelta(minutes=15)
    drift_after: Annotated[timedelta, duration(_SECOND, 30 * _DAY)] = timedelta(hours=1)
    sweep_every: Annotated[timedelta, duration(_SECOND, 7 * _DAY)] = timedelta(minutes=15)
    full_look_every: Annotated[timedelta, duration(_SECOND, 30 * _DAY)] = timedelta(hours=6)
    trust_look_for: Annotated[timedelta, duration(timedelta(0), _HOUR)] = timedelta(seconds=30)
    ambiguous_hold: Annotated[timedelta, duration(_SECOND, 7 * _DAY)] = timedelta(minutes=30)
    journal_for: Annotated[timedelta, duration(_HOUR, 3650 * _DAY)] = timedelta(days=90)
    tombstones_for: Annotated[timedelta | None, duration(31 * _DAY, 3650 * _DAY)] = None
    personal_data_for: Annotated[timedelta, duration(_HOUR, 3650 * _DAY)] = timedelta(days=30)
    journal_length: Annotated[int, whole(10, 1_000_000)] = 1000
    success_url: HttpUrl = None
    cancel_url: HttpUrl = None
    plan_id: Word = None

    host: Host = "127.0.0.1"
    port: Annotated[int, whole(0, 65535)] = 8000
    trusted_proxies: Networks = ()
    worker_processes: Annotated[int, whole(1, 64)] = 1
    worker_threads: Annotated[int, whole(1, 1024)] = 16
    otel_endpoint: OptionalBaseUrl = None
    sentry_dsn: Annotated[SecretStr | None, SECRET, secret()] = None
    log_format: Annotated[Literal["auto", "console", "json"], choice("auto", "console", "json")] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        choice("debug", "info", "warning", "error", "critical"),
    ] = "info"

    @classmethod
    def load(cls, config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment over a TOML file over the defaults.

        ``config`` None means ``config/settings.toml`` of the working directory, if there is one.

        Raises:
            ConfigError: the first thing that is wrong. Nothing it holds shows a secret's value.
        """
        names = list(cls.model_fields)
        hidden = [name for name, field in cls.model_fields.items() if SECRET in field.metadata]
        given = {}
        if config is not None or DEFAULT_CONFIG.is_file():
            given = read_toml(config or DEFAULT_CONFIG, names, hidden)
        given |= read_environment(environ, names, hidden)
        outcome = cls._validated(given)
        if isinstance(outcome, ConfigError):
            raise outcome
        return outcome

    @classmethod
    def _validated(cls, given: Mapping[str, Given]) -> Self | ConfigError:
        # Returned, not raised: a ConfigError raised in here would carry pydantic's error, with its inputs, as context.
        try:
            return cls.model_validate({name: entry.value for name, entry in given.items()})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
        cause = first.get("ctx", {}).get("error")
        field = cause.field if isinstance(cause, Problem) and cause.field else str(first["loc"][0])
        name = given[field].name if field in given else environment_name(field)
        if isinstance(cause, Problem):
            return ConfigError(name, cause.problem, cause.remedy)
        return ConfigError(name, "has a value of the wrong kind", "see config/settings.toml for how it is written")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.crovver_api_key and self.crovver_service_key:
            problem = "is set beside SEATS_CROVVER_API_KEY"
            raise Problem(problem, "keep the one of them that is to be used", field="crovver_service_key")
        if self.crovver_service_key and not self.crovver_org_id:
            problem = "is set without SEATS_CROVVER_ORG_ID"
            raise Problem(problem, "set the organization's id too", field="crovver_service_key")
        if self.crovver_org_id and not self.crovver_service_key:
            problem = "is set without SEATS_CROVVER_SERVICE_KEY"
            raise Problem(problem, "set the service key, or remove the organization's id", field="crovver_org_id")
        return self

    @property
    def livemode(self) -> bool | None:
        """Whether Crovver's key moves real money: True for ``sk_live_``, False for ``sk_test_``, None for others."""
        return _livemode(self.crovver_api_key)

    def require_redis(self) -> str:
        """The broker's URL, in the clear.

        Raises:
            ConfigError: none is set.
        """
        if self.redis_url is None:
            raise ConfigError("SEATS_REDIS_URL", "is not set", "set it like redis://localhost:6379/0")
        return self.redis_url.get_secret_value()

    def require_state(self) -> str:
        """The state's URL, in the clear: its own, or the broker's.

        Raises:
            ConfigError: neither is set.
        """
        return self.state_url.get_secret_value() if self.state_url else self.require_redis()

    def require_crovver(self) -> CrovverKey:
        """The key for Crovver.

        Raises:
            ConfigError: none is set.
        """
        key = self.crovver_api_key or self.crovver_service_key
        if key is None:
            remedy = "set it, or SEATS_CROVVER_SERVICE_KEY and SEATS_CROVVER_ORG_ID"
            raise ConfigError("SEATS_CROVVER_API_KEY", "is not set", remedy)
        return CrovverKey(key, self.crovver_org_id)

    def require_operator(self) -> SecretStr:
        """The operator's token.

        Raises:
            ConfigError: none is set.
        """
        if self.operator_token is None:
            raise ConfigError("SEATS_OPERATOR_TOKEN", "is not set", "set it to a random token of 16 characters or more")
        return self.operator_token

    def warnings(self) -> list[str]:
        """What is allowed and yet probably not meant, a sentence each."""
        found = []
        tokens = {"SEATS_OPERATOR_TOKEN": [self.operator_token] if self.operator_token else []}
        tokens["SEATS_INGEST_TOKENS"] = list(self.ingest_tokens)
        for name, values in tokens.items():
            if any(len(value) < _SHORT_TOKEN for value in values):
                found.append(f"{name} holds a token of fewer than {_SHORT_TOKEN} characters, which can be guessed.")
        if self.operator_token in self.ingest_tokens:
            found.append("SEATS_OPERATOR_TOKEN is one of SEATS_INGEST_TOKENS: event publishers can act as operators.")
        if _in_the_clear(self.crovver_base_url) and (self.crovver_api_key or self.crovver_service_key):
            found.append("SEATS_CROVVER_BASE_URL is http://: Crovver's key crosses the network in the clear.")
        if _in_the_clear(self.stripe_base_url) and self.stripe_api_key:
            found.append("SEATS_STRIPE_BASE_URL is http://: Stripe's key crosses the network in the clear.")
        modes = {self.livemode, _livemode(self.stripe_api_key)}
        if modes == {True, False}:
            found.append("SEATS_STRIPE_API_KEY and SEATS_CROVVER_API_KEY are of different modes (live and test).")
        return found


def _livemode(key: SecretStr | None) -> bool | None:
    text = key.get_secret_value() if key else ""
    if text.startswith(("sk_live_", "rk_live_")):
        return True
    return False if text.startswith(("sk_test_", "rk_test_")) else None


def _in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK
