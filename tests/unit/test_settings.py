"""Settings: where they come from, what they accept, and errors that name the setting and never show a secret."""

import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from worker.core.times import DAY
from worker.settings import AlertSeverity, ConfigError, CrovverKey, Rate, Settings, shipped_config
from worker.settings.derive import policy_of

CONTRACT_DEFAULTS = {
    "redis_url": None,
    "namespace": "seats",
    "state_url": None,
    "crovver_base_url": "https://app.crovver.com",
    "crovver_api_key": None,
    "crovver_service_key": None,
    "crovver_org_id": None,
    "crovver_rate": Rate(50, 1),
    "stripe_webhook_secrets": (),
    "crovver_webhook_secret": None,
    "stripe_api_key": None,
    "ingest_tokens": (),
    "operator_token": None,
    "alert_urls": (),
    "settle_seconds": timedelta(seconds=2),
    "upgrade_mode": "auto",
    "seat_block": 1,
    "headroom_seats": 0,
    "max_capacity": None,
    "repair": "off",
    "warn_at": (80, 90, 100),
    "credits_warn_at": (80, 95, 100),
    "sweep_every": timedelta(minutes=15),
    "ambiguous_hold": timedelta(minutes=30),
    "success_url": None,
    "cancel_url": None,
    "plan_id": None,
    # Beside the contract's.
    "alert_link_urls": (),
    "alert_gather": timedelta(minutes=1),
    "alert_texts": None,
    "public_url": None,
    "credits_every": timedelta(hours=1),
    "paid_deadline": timedelta(minutes=15),
    "drift_after": timedelta(hours=1),
    "stripe_base_url": "https://api.stripe.com",
    "full_look_every": timedelta(hours=6),
    "trust_look_for": timedelta(seconds=30),
    "journal_for": timedelta(days=90),
    "tombstones_for": None,
    "personal_data_for": timedelta(days=30),
    "journal_length": 1000,
    "min_replicas": None,
    "host": "127.0.0.1",
    "trusted_proxies": (),
    "port": 8000,
    "worker_processes": 1,
    "worker_threads": 16,
    "log_format": "auto",
    "log_level": "info",
    "otel_endpoint": None,
    "sentry_dsn": None,
}


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(config: Path | None = None, /, **environ: str) -> Settings:
    return Settings.load(config, {f"SEATS_{name.upper()}": value for name, value in environ.items()})


def refusal(environ: Mapping[str, str], config: Path | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Settings.load(config, environ)
    return caught.value


def toml(text: str, name: str = "settings.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


# Where settings come from


def test_with_nothing_set_the_defaults_are_the_contracts() -> None:
    assert {name: getattr(load(), name) for name in Settings.model_fields} == CONTRACT_DEFAULTS


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    config = toml("seat_block = 5\nheadroom_seats = 2")
    settings = load(config, seat_block="10")
    assert (settings.seat_block, settings.headroom_seats, settings.max_capacity) == (10, 2, None)


def test_config_settings_toml_of_the_working_directory_is_read_when_no_file_is_named() -> None:
    toml("seat_block = 5", "config/settings.toml")
    assert load().seat_block == 5


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(toml("seat_block = 5"), seat_block="", operator_token="").seat_block == 5


def test_variables_of_others_are_none_of_our_business() -> None:
    assert Settings.load(None, {"PATH": "/bin", "SEATSMAP": "x", "seats_port": "1"}) == load()


def test_what_kubernetes_tells_about_services_named_like_us_is_no_setting() -> None:
    environ = {
        "SEATS_PORT": "tcp://10.0.0.7:80",
        "SEATS_SERVICE_HOST": "10.0.0.7",
        "SEATS_SERVICE_PORT": "80",
        "SEATS_SERVICE_PORT_HTTP": "80",
        "SEATS_PORT_80_TCP": "tcp://10.0.0.7:80",
        "SEATS_PORT_80_TCP_ADDR": "10.0.0.7",
        "SEATS_WEB_PORT": "tcp://10.0.0.8:80",
        "SEATS_WEB_SERVICE_HOST": "10.0.0.8",
    }
    assert Settings.load(None, environ).port == 8000


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError):
        load().seat_block = 2  # type: ignore[misc]


@pytest.mark.parametrize("text", ["a secret", "a secret\n", "a secret\r\n"])
def test_a_secret_may_come_from_a_file_whose_last_newline_does_not_count(text: str) -> None:
    Path("secret").write_bytes(text.replace(" ", "-").encode())
    assert load(operator_token_file="secret").operator_token == SecretStr("a-secret")
    assert load(toml('operator_token_file = "secret"')).operator_token == SecretStr("a-secret")


def test_a_file_of_secrets_may_hold_one_a_line() -> None:
    Path("secrets").write_text("whsec_new\nwhsec_old\n")
    secrets = load(stripe_webhook_secrets_file="secrets").stripe_webhook_secrets
    assert secrets == (SecretStr("whsec_new"), SecretStr("whsec_old"))


# What they accept


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("2", timedelta(seconds=2)),
        ("1.25", timedelta(milliseconds=1250)),
        ("1500ms", timedelta(milliseconds=1500)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        (" 1.5m ", timedelta(seconds=90)),
        ("2d", timedelta(days=2)),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert load(sweep_every=text).sweep_every == length
    assert load(toml(f'sweep_every = "{text}"')).sweep_every == length
    assert load(toml(f"sweep_every = {length.total_seconds()}")).sweep_every == length


@pytest.mark.parametrize(
    ("name", "text", "bounds"),
    [
        ("settle_seconds", "2h", "0 seconds to 3,600 seconds"),
        ("sweep_every", "500ms", "1 second to 7 days"),
        ("ambiguous_hold", "8d", "1 second to 7 days"),
        ("tombstones_for", "30d", "31 days to 3,650 days"),
    ],
)
def test_durations_are_bounded(name: str, text: str, bounds: str) -> None:
    assert f"must be {bounds} long" in refusal({f"SEATS_{name.upper()}": text}).problem


def test_tombstones_are_kept_for_good_unless_they_are_given_a_lifetime() -> None:
    assert policy_of(load()).retention.tombstones is None
    assert policy_of(load(tombstones_for="31d")).retention.tombstones == 31 * DAY


@pytest.mark.parametrize("text", ["soon", "5x", "m", "1m1h", "1m1m", "-5m", "1e3", "15 m", "1h,5m", "9" * 50, "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert "SEATS_SWEEP_EVERY must be a duration" in str(refusal({"SEATS_SWEEP_EVERY": text}))


@pytest.mark.parametrize(("text", "per_second"), [("50/s", 50), ("3000/min", 50), ("3000/m", 50), ("7200/h", 2)])
def test_rates(text: str, per_second: float) -> None:
    assert load(crovver_rate=text).crovver_rate.per_second == per_second


@pytest.mark.parametrize("text", ["50", "0/s", "50/day", "-1/s", "1.5/s", "50 per second"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    assert "50/s" in str(refusal({"SEATS_CROVVER_RATE": text}))


def test_thresholds_and_lists_are_separated_by_commas_or_toml_arrays() -> None:
    assert load(warn_at="50, 75,120").warn_at == (50, 75, 120)
    assert load(toml("warn_at = [50, 75]")).warn_at == (50, 75)
    assert load(toml("warn_at = []")).warn_at == ()
    assert load(toml("warn_at = 90")).warn_at == (90,)
    assert load(ingest_tokens="one, two,one").ingest_tokens == (SecretStr("one"), SecretStr("two"))


@pytest.mark.parametrize("text", ["0,50", "50,1001", "90,80", "80,80", "80,", "high", "80.5", "true"])
def test_thresholds_rise_from_1_to_1000(text: str) -> None:
    assert refusal({"SEATS_WARN_AT": text}).setting == "SEATS_WARN_AT"


def test_alert_channels_say_the_least_severity_they_get_and_may_hold_commas() -> None:
    urls = load(alert_urls="mailto://h?to=a,b,warning=slack://x/y, critical=json://h").alert_urls
    assert [(channel.least, channel.url.get_secret_value()) for channel in urls] == [
        (AlertSeverity.INFO, "mailto://h?to=a,b"),
        (AlertSeverity.WARNING, "slack://x/y"),
        (AlertSeverity.CRITICAL, "json://h"),
    ]


@pytest.mark.parametrize("text", ["warning=slack://hunter2", "slack://x/y,critical=json://hunter2"])
def test_a_channel_for_links_gets_every_alert(text: str) -> None:
    urls = load(alert_link_urls="slack://x/y,json://h").alert_link_urls
    assert [one.least for one in urls] == [AlertSeverity.INFO, AlertSeverity.INFO]
    error = refusal({"SEATS_ALERT_LINK_URLS": text})
    assert error.setting == "SEATS_ALERT_LINK_URLS"
    assert "without warning= or critical=" in str(error)
    assert "remove the prefix" in error.remedy
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("text", ["slack", "urgent=slack://x", "warning=", "slack://a b"])
def test_what_is_no_alert_channel_is_refused(text: str) -> None:
    assert refusal({"SEATS_ALERT_URLS": text}).setting == "SEATS_ALERT_URLS"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:p%40ss@localhost:6379/0?protocol=3",
        "rediss://user:pass@[::1]:6379/1",
        "unix:///run/valkey/valkey.sock?db=1",
        "redis+sentinel://user:pass@h1:26379,h2:26379/service",
    ],
)
def test_brokers(url: str) -> None:
    settings = load(redis_url=url)
    assert (settings.require_redis(), settings.require_state()) == (url, url)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://host:0",
        "redis://host:65536",
        "redis://user:p@ss@host",
        "redis://:pa/ss@host",
        "redis://h1,h2",
        "unix://relative",
        "redis+sentinel://h1:26379",
        "redis+sentinel://h1:99999,h2/service",
    ],
)
def test_what_is_no_broker_is_refused(url: str) -> None:
    assert refusal({"SEATS_REDIS_URL": url}).setting == "SEATS_REDIS_URL"


def test_a_cluster_may_keep_the_state_and_not_the_queue() -> None:
    settings = load(redis_url="redis://a", state_url="redis+cluster://h1:6379,h2:6379")
    assert settings.require_state() == "redis+cluster://h1:6379,h2:6379"
    assert "SEATS_STATE_URL" in str(refusal({"SEATS_REDIS_URL": "redis+cluster://h1:6379"}))


@pytest.mark.parametrize("name", ["crovver_base_url", "stripe_base_url", "success_url", "cancel_url", "public_url"])
@pytest.mark.parametrize("url", ["app.example.com", "ftp://host", "https://", "https://a:hunter2@host", "https://h:x/"])
def test_urls_are_http_and_hold_no_password(name: str, url: str) -> None:
    error = refusal({f"SEATS_{name.upper()}": url})
    assert error.setting == f"SEATS_{name.upper()}"
    assert "hunter2" not in str(error)


def test_a_base_url_ends_without_a_slash() -> None:
    assert load(crovver_base_url="http://localhost:9000/crovver/").crovver_base_url == "http://localhost:9000/crovver"
    assert "no query" in refusal({"SEATS_CROVVER_BASE_URL": "https://host/?a=1"}).problem


def test_stripes_placeholder_in_the_success_url_is_kept() -> None:
    url = "https://app.example.com/?session={CHECKOUT_SESSION_ID}"
    assert load(success_url=url).success_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seat_block", "0"),
        ("seat_block", "x"),
        ("seat_block", "1.5"),
        ("headroom_seats", "-1"),
        ("max_capacity", "0"),
        ("port", "65536"),
        ("worker_processes", "0"),
        ("upgrade_mode", "yes"),
        ("upgrade_mode", "AUTO"),
        ("repair", "on"),
        ("log_format", "xml"),
        ("namespace", "a:b"),
        ("namespace", "a{b}"),
        ("host", "host:80/"),
        ("sweep_every", "0"),
        ("crovver_api_key", "pk_live_x"),
        ("crovver_api_key", "two words"),
        ("stripe_api_key", "pk_live_x"),
        ("stripe_webhook_secrets", "whsec_"),
        ("stripe_webhook_secrets", "whsec_a,,whsec_b"),
        ("operator_token", "naïve"),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_with_a_remedy(name: str, value: str) -> None:
    error = refusal({f"SEATS_{name.upper()}": value})
    assert error.setting == f"SEATS_{name.upper()}"
    assert error.problem
    assert error.remedy


@pytest.mark.parametrize(
    "text", ["seat_block = true", "namespace = 5", "warn_at = [true]", "redis_url = 1", "host = {}"]
)
def test_a_toml_value_of_the_wrong_kind_is_refused(text: str) -> None:
    assert refusal({}, toml(text)).setting == f"{text.split()[0]} in settings.toml"


# Settings that must agree


def test_crovvers_key_is_an_api_key_or_a_service_key_with_its_organization() -> None:
    assert load(crovver_api_key="sk_test_x").require_crovver() == CrovverKey(SecretStr("sk_test_x"))
    by_service = load(crovver_service_key="x", crovver_org_id="org").require_crovver()
    assert by_service == CrovverKey(SecretStr("x"), "org")


def test_two_keys_for_crovver_are_one_too_many() -> None:
    environ = {"SEATS_CROVVER_API_KEY": "sk_x", "SEATS_CROVVER_SERVICE_KEY": "x", "SEATS_CROVVER_ORG_ID": "org"}
    assert refusal(environ).setting == "SEATS_CROVVER_SERVICE_KEY"


@pytest.mark.parametrize("url", ["redis://h:6379/0", "redis+sentinel://h:26379/main", "redis+cluster://h:7000"])
def test_replicas_are_waited_for_wherever_the_state_is(url: str) -> None:
    assert load(state_url=url, min_replicas="2").min_replicas == 2


def test_a_service_key_and_an_organization_come_together() -> None:
    assert "SEATS_CROVVER_ORG_ID" in str(refusal({"SEATS_CROVVER_SERVICE_KEY": "x"}))
    error = refusal({}, toml('crovver_org_id = "org"'))
    assert error.setting == "crovver_org_id in settings.toml"


def test_what_a_command_needs_is_demanded_by_name() -> None:
    for demand, name in [
        (load().require_redis, "SEATS_REDIS_URL"),
        (load().require_state, "SEATS_REDIS_URL"),
        (load().require_crovver, "SEATS_CROVVER_API_KEY"),
        (load().require_operator, "SEATS_OPERATOR_TOKEN"),
    ]:
        with pytest.raises(ConfigError, match=f"^{name} is not set: set it"):
            demand()


@pytest.mark.parametrize(("key", "mode"), [("sk_live_x", True), ("sk_test_x", False), ("own-key", None)])
def test_crovvers_key_tells_whether_money_is_real(key: str, mode: bool | None) -> None:
    assert load(crovver_api_key=key).livemode is mode
    assert load().livemode is None


def test_what_is_allowed_and_probably_not_meant_is_said() -> None:
    assert load(operator_token="x" * 16, ingest_tokens="y" * 16, crovver_api_key="sk_live_x").warnings() == []
    assert load(crovver_base_url="http://localhost:1", crovver_api_key="x").warnings() == []
    said = load(
        operator_token="short",
        ingest_tokens="short",
        crovver_base_url="http://crovver.internal",
        stripe_base_url="http://stripe.internal",
        crovver_api_key="sk_live_x",
        stripe_api_key="sk_test_x",
    ).warnings()
    assert [sentence.split()[0] for sentence in said] == [
        "SEATS_OPERATOR_TOKEN",
        "SEATS_INGEST_TOKENS",
        "SEATS_OPERATOR_TOKEN",
        "SEATS_CROVVER_BASE_URL",
        "SEATS_STRIPE_BASE_URL",
        "SEATS_STRIPE_API_KEY",
    ]
    assert not any("short" in sentence for sentence in said)


# Errors


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SEATS_SEATBLOCK", "SEATS_SEAT_BLOCK"),
        ("SEATS_REDIS_URI", "SEATS_REDIS_URL"),
        ("SEATS_STRIPE_WEBHOOK_SECRET", "SEATS_STRIPE_WEBHOOK_SECRETS"),
        ("SEATS_seat_block", "SEATS_SEAT_BLOCK"),
        ("SEATS_OPERATOR_TOKEN_FIL", "SEATS_OPERATOR_TOKEN_FILE"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(name: str, meant: str) -> None:
    expected = f"{name} is no setting: did you mean {meant}? Otherwise remove it"
    assert str(refusal({name: "x"})) == expected
    assert str(refusal({name: ""})) == expected


def test_a_misspelt_key_is_refused_with_the_nearest_name_and_the_file() -> None:
    error = refusal({}, toml("seat_blok = 5"))
    assert str(error) == "seat_blok in settings.toml is no setting: did you mean seat_block? Otherwise remove it"
    assert str(refusal({}, toml("[server]\nx = 5"))) == "server in settings.toml is no setting: remove it"
    assert refusal({"SEATS_SEAT_BLOCK_FILE": "x"}).setting == "SEATS_SEAT_BLOCK_FILE"


def test_a_secret_given_twice_is_refused() -> None:
    Path("secret").write_text("x")
    error = refusal({"SEATS_OPERATOR_TOKEN": "y", "SEATS_OPERATOR_TOKEN_FILE": "secret"})
    assert "not both" in str(error)
    assert load(toml('operator_token = "y"'), operator_token_file="secret").operator_token == SecretStr("x")


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file"), (b"", "empty"), (b"\n", "empty"), (b"\xff", "UTF-8"), (b"x" * 70_000, "64 KiB")],
)
def test_a_secrets_file_that_cannot_be_used_is_told(content: bytes | None, problem: str) -> None:
    if content is not None:
        Path("secret").write_bytes(content)
    error = refusal({"SEATS_OPERATOR_TOKEN_FILE": "secret"})
    assert error.setting == "SEATS_OPERATOR_TOKEN_FILE"
    assert problem in error.problem


def test_a_named_file_must_be_there_and_be_toml() -> None:
    assert str(refusal({}, Path("missing.toml"))).startswith("missing.toml cannot be read (No such file")
    assert "at line 2" in str(refusal({}, toml("seat_block = 1\noperator_token = hunter2")))
    assert "hunter2" not in str(refusal({}, toml("operator_token = hunter2")))
    Path("bytes.toml").write_bytes(b"\xff")
    assert "UTF-8" in str(refusal({}, Path("bytes.toml")))


def test_an_error_is_one_line_that_names_the_setting_the_problem_and_the_remedy() -> None:
    error = refusal({"SEATS_SEAT_BLOCK": "0"})
    assert str(error) == ("SEATS_SEAT_BLOCK must be a whole number from 1 to 1,000,000, not '0': give such a number")
    assert "\n" not in str(refusal({"SEATS_UPGRADE_MODE": "a\nb"}))
    assert "\n" not in str(ConfigError("a\nb", "c\nd", "e"))


SECRET_SETTINGS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


def test_every_setting_that_can_hold_a_secret_is_a_secret() -> None:
    assert SECRET_SETTINGS == [
        "redis_url",
        "state_url",
        "crovver_api_key",
        "crovver_service_key",
        "crovver_webhook_secret",
        "stripe_webhook_secrets",
        "stripe_api_key",
        "ingest_tokens",
        "operator_token",
        "sentry_dsn",
    ]


SECRET_VALUES = {"redis_url": "redis://:hunter2@h", "state_url": "redis://:hunter2@h"}
SECRET_VALUES |= {"stripe_webhook_secrets": "whsec_hunter2", "stripe_api_key": "sk_hunter2"}


@pytest.mark.parametrize("name", [*SECRET_SETTINGS, "alert_urls", "alert_link_urls"])
def test_a_secret_is_never_shown_neither_right_nor_wrong(name: str) -> None:
    value = SECRET_VALUES.get(name, "json://hunter2" if name.startswith("alert_") else "hunter2")
    org = {"crovver_org_id": "org"} if name == "crovver_service_key" else {}
    settings = load(**{name: value, **org})
    assert "hunter2" not in f"{settings} {settings!r} {settings.warnings()}"
    error = refusal({f"SEATS_{name.upper()}": f"{value} hunter2"})
    assert error.setting == f"SEATS_{name.upper()}"
    chain = [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
    assert "hunter2" not in " ".join(chain)


@given(st.sampled_from(list(Settings.model_fields)), st.text(alphabet=st.characters(exclude_characters="\0")))
def test_any_text_is_either_accepted_or_refused_in_one_line_that_names_the_setting(name: str, text: str) -> None:
    said = ""
    try:
        Settings.load(None, {f"SEATS_{name.upper()}": text})
    except ConfigError as error:
        said = str(error)
    assert said == "" or said.startswith(f"SEATS_{name.upper()} ")
    assert "\n" not in said


# What ships


def test_the_shipped_file_changes_nothing_as_it_is() -> None:
    assert Settings.load(shipped_config("settings.toml"), {}) == load()


def test_the_shipped_file_shows_every_setting_and_nothing_else_with_its_default_or_an_example() -> None:
    text = shipped_config("settings.toml").read_text()
    uncommented = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    # Both ways to sign in to Crovver are shown; together they are refused. The queue's server is not the state's.
    apart = {"crovver_api_key", "state_url"}
    config = toml(re.sub(rf"^({'|'.join(apart)}) = ", "# ", uncommented, flags=re.MULTILINE))
    names = re.findall(r"^([a-z_]+) = ", uncommented, flags=re.MULTILINE)
    assert sorted(names) == sorted(Settings.model_fields)
    shown = Settings.load(config, {})
    for name in set(names) - apart:
        default = CONTRACT_DEFAULTS[name]
        assert getattr(shown, name) == default if default not in (None, ()) else getattr(shown, name)


def test_what_does_not_ship_is_not_found() -> None:
    with pytest.raises(FileNotFoundError, match=r"config/nothing\.toml"):
        shipped_config("nothing.toml")


def test_reading_settings_loads_no_client_library() -> None:
    code = "import sys; from worker.settings import Settings; Settings.load(None, {}); print(*sys.modules)"
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert not {"redis", "httpx", "dramatiq", "stripe", "structlog", "starlette"} & set(run.stdout.split())
