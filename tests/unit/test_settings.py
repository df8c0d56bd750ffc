"""Settings come from the environment and from flags, and are checked whole before anything starts."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bullflow.errors import Misconfigured
from bullflow.settings import MIB, Settings, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own settings do not matter here."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BULLFLOW_{name.upper()}", raising=False)


def test_everything_has_a_default_so_that_one_command_runs() -> None:
    settings = load()

    assert (settings.database_url, settings.redis_url, settings.port) == (None, None, 8420)
    assert settings.store_url == f"sqlite:///{Path.cwd() / '.bullflow' / 'bullflow.db'}"


def test_the_limits_are_those_of_the_design() -> None:
    settings = load()

    assert (settings.max_jobs, settings.max_depth) == (10_000, 100)
    assert (settings.max_data_bytes, settings.max_body_bytes) == (MIB, 32 * MIB)
    assert settings.engine_keep == timedelta(hours=1)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLFLOW_DATABASE_URL", "postgresql:///bull?host=/run/postgres")
    monkeypatch.setenv("BULLFLOW_REDIS_URL", "unix:///run/valkey.sock")
    monkeypatch.setenv("BULLFLOW_MAX_JOBS", "12")

    settings = load()

    assert settings.store_url == settings.database_url == "postgresql:///bull?host=/run/postgres"
    assert (settings.redis_url, settings.max_jobs) == ("unix:///run/valkey.sock", 12)


def test_a_flag_wins_over_the_environment_and_one_that_was_not_given_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLFLOW_HOST", "0.0.0.0")
    monkeypatch.setenv("BULLFLOW_PORT", "9000")

    settings = load(port=7000, host=None)

    assert (settings.host, settings.port) == ("0.0.0.0", 7000)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLFLOW_REDIS_URL", "")
    monkeypatch.setenv("BULLFLOW_PORT", "")

    assert (load().redis_url, load().port) == (None, 8420)


def test_variables_of_others_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLFLOW_COLOUR", "red")
    monkeypatch.setenv("PORT", "1")

    assert load().port == 8420


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("6", timedelta(seconds=6)),
        ("2.5", timedelta(seconds=2.5)),
        (".5", timedelta(milliseconds=500)),
        ("PT5M", timedelta(minutes=5)),
        ("00:01:30", timedelta(seconds=90)),
    ],
)
def test_durations_are_seconds_or_iso_8601(monkeypatch: pytest.MonkeyPatch, text: str, duration: timedelta) -> None:
    monkeypatch.setenv("BULLFLOW_LEASE", text)

    assert load().lease == duration


def test_every_fault_is_told_at_once_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLFLOW_DATABASE_URL", "mysql://localhost")
    monkeypatch.setenv("BULLFLOW_LEASE", "soon")

    with pytest.raises(Misconfigured) as caught:
        load(port=99_999, redis_url="http://localhost")

    told = str(caught.value).splitlines()
    assert [line.partition("=")[0] for line in told] == [
        "BULLFLOW_DATABASE_URL",
        "BULLFLOW_REDIS_URL",
        "BULLFLOW_PORT",
        "BULLFLOW_LEASE",
    ]
    assert told[0] == ("BULLFLOW_DATABASE_URL='mysql://localhost': must begin with sqlite:/// or postgresql://")


@pytest.mark.parametrize(
    "flags",
    [
        {"max_depth": 121},
        {"max_jobs": 0},
        {"prefix": "a:b"},
        {"prefix": ""},
        {"port": -1},
        {"port": "http"},
        {"log_level": "loud"},
        {"log_format": "xml"},
        {"concurrency": 0},
        {"stream_length": 10},
        {"lease": "0"},
        {"lease": "-PT5S"},
        {"lease": timedelta(seconds=-1)},
        {"stop_timeout": "-PT1S"},
        {"engine_keep": "-PT1S"},
        {"lease": "nan"},
        {"lease": "5 apples"},
    ],
)
def test_what_cannot_work_is_refused(flags: dict[str, Any]) -> None:
    [name] = flags

    with pytest.raises(Misconfigured, match=f"^BULLFLOW_{name.upper()}="):
        load(**flags)


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql://u:p@h/db", "postgres://h/db"])
def test_both_databases_are_taken(url: str) -> None:
    assert load(database_url=url).store_url == url


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://h", "unix:///tmp/s"])
def test_every_way_to_the_engine_is_taken(url: str) -> None:
    assert load(redis_url=url).redis_url == url


@pytest.mark.parametrize("text", ['["password", "/card/number"]', "password,/card/number", " password , /card/number,"])
def test_several_names_come_as_json_or_with_commas(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BULLFLOW_REDACT", text)

    assert load().redact == ("password", "/card/number")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("REDACT", '["password"', "names with commas between, or a JSON list"),
        ("ALLOWED_HOSTS", "[1]", "should be a valid string"),
        ("CORS_ORIGINS", "https://ops.example/", "not where pages come from"),
        ("CORS_ORIGINS", '["ops.example"]', "not where pages come from"),
    ],
)
def test_what_are_no_names_is_told_as_such(monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str) -> None:
    monkeypatch.setenv(f"BULLFLOW_{name}", text)

    with pytest.raises(Misconfigured, match=f"BULLFLOW_{name}.*{told}"):
        load()


def test_a_token_is_taken_without_what_stands_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULLFLOW_TOKEN", " bf_secret\n")
    assert load().token == "bf_secret"
    monkeypatch.setenv("BULLFLOW_TOKEN", " ")
    assert load().token is None


@pytest.mark.parametrize("token", ["bf_two words", "bf_sécret", "bf_\0"])
def test_what_is_no_token_is_not_shown(token: str) -> None:
    with pytest.raises(Misconfigured, match="BULLFLOW_TOKEN=…: is no token") as caught:
        load(token=token)

    assert "bf_" not in str(caught.value)


def test_settings_are_not_changed_while_it_runs() -> None:
    settings = load()

    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "port", 1)  # noqa: B010 -- the type checker would not let it pass


def test_a_fault_does_not_show_the_password_of_a_url() -> None:
    with pytest.raises(Misconfigured) as refused:
        load(database_url="mysql://me:secret@db/flows")

    assert "secret" not in str(refused.value)
    assert "@db/flows" in str(refused.value)


def test_ended_flows_are_kept_for_a_month_or_as_long_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().keep_flows == timedelta(days=30)
    for said, meant in (("3600", timedelta(hours=1)), ("P90D", timedelta(days=90)), ("forever", None)):
        monkeypatch.setenv("BULLFLOW_KEEP_FLOWS", said)

        assert load().keep_flows == meant


@pytest.mark.parametrize("said", ["0", "59", "-1", "never", "1e99"])
def test_a_time_that_ended_flows_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Less than a minute would take the answer away from who waits for it."""
    monkeypatch.setenv("BULLFLOW_KEEP_FLOWS", said)

    with pytest.raises(Misconfigured, match=r"BULLFLOW_KEEP_FLOWS=.* (equal to 1 minute|seconds, or forever)"):
        load()
