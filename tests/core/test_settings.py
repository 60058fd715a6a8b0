"""Each setting has its row here: what it takes, and what it refuses in one clear line."""

import re
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from veza.core.service_urls import mistake, where
from veza.parts import make_parts
from veza.settings import BadSetting, Settings, address_of, load

# setting -> (written -> read), (written -> a word of the refusal)
ROWS = {
    "audit_retention_days": ({"0": 0, "30": 30}, {"-1": "0 or more", "long": "whole number"}),
    "host": ({"0.0.0.0": "0.0.0.0", "::1": "::1"}, {}),
    "port": ({"0": 0, "65535": 65535}, {"65536": "between", "-1": "between", "http": "whole number"}),
    "worker_port": ({"8081": 8081}, {"65536": "between", "-1": "between", "http": "whole number"}),
    "public_url": (
        {"https://music.example": "https://music.example", "http://a.example:81/": "http://a.example:81/"},
        {"music.example": "look like", "ftp://a.example": "look like", "https://": "look like",
         "https://a.example/veza": "look like", "https://a.example:port": "look like",
         "https://a.example?x=1": "look like", "https://u:p@a.example": "look like"},
    ),
    "data_dir": ({"/srv/veza": Path("/srv/veza")}, {}),
    "database_url": (
        {url: url for url in ("postgresql://u@h/veza", "sqlite:////srv/v@[1].db", "postgresql://u:a:%2F%40@[::1]:5432/v",
         "postgresql://u@h:1,h/v?sslmode=require", "postgresql:///v?host=/run/p", "postgresql://u@%2Frun%2Fp/v")},
        {"mysql://h/veza": "sqlite:/// or postgresql://", "veza.db": "sqlite:/// or postgresql://",
         "sqlite:///": "name a file",
         "postgresql://u@h,h:x/v": "%2F", "postgresql://u@h:65536/v": "%2F",
         "postgresql://u@h/v?port=x": "%2F", "postgresql://u@h/v?sslmode": "%2F"},
    ),
    "database_read_url": (
        {}, {"postgresql://u@h/veza": "PostgreSQL in VEZA_DATABASE_URL", "sqlite:////srv/v.db": "postgresql://",
             "postgresql://u@h:x/v": "%2F"},
    ),
    "storage_url": (
        {"s3://bucket/prefix": "s3://bucket/prefix", "file:///srv/files": "file:///srv/files"},
        {"ftp://h/files": "file:/// or s3://", "/srv/files": "file:/// or s3://"},
    ),
    "redis_url": (
        {url: url for url in ("redis://h:6379/0", "rediss://:a@b@h", "unix:///run/v@1.sock?db=0", "unix://:p@/run/v")},
        {"h:6379": "redis://", "http://h": "redis://", "redis://h:x": "%2F", "redis://::1": "%2F"},
    ),
    "secret_key": ({"k" * 32: "k" * 32}, {}),
    "smtp_url": (
        {url: url for url in ("smtps://u:p@h", "smtps://ada@a.example:p@h:465")}, {"smtps://u:p@h:x": "%2F"},
    ),
    "mail_dir": ({"/srv/mail": Path("/srv/mail")}, {}),
    "mail_from": ({"Veza <veza@music.example>": "Veza <veza@music.example>"}, {}),
    "rate_limit_enabled": (
        {"true": True, "FALSE": False, "1": True, "0": False, "yes": True, "off": False},
        {"maybe": "true or false", "2": "true or false"},
    ),
    "rate_limit_global": ({"7/min": "7/min"}, {"0/min": "100/min", "many": "100/min"}),
    "rate_limit_login": ({"7/hour": "7/hour"}, {"7": "100/min"}),
    "rate_limit_verification": ({"7/day": "7/day"}, {"7/week": "100/min"}),
    "rate_limit_analytics": ({"7/min": "7/min"}, {"often": "100/min"}),
    "rate_limit_analytics_bytes": ({"7000/day": "7000/day"}, {"4MB/day": "100/min"}),
    "rate_limit_export": ({"7/day": "7/day"}, {"seldom": "100/min"}),
    "rate_limit_comment": ({"7/min": "7/min"}, {"7/min/min": "100/min"}),
    **{
        f"suspicious_{name}": ({"7/min": "7/min"}, {"often": "100/min"})
        for name in (
            "password_guessing", "account_guessing", "many_addresses", "mass_downloads", "mass_deletions",
            "upload_burst", "webhook_probing",
        )
    },
    "rate_limit_chat": ({"7/min": "7/min"}, {"7/min/min": "100/min"}),
    "rate_limit_upload": ({"7/10min": "7/10min"}, {"-7/min": "100/min"}),
    "rate_limit_chunk": ({"7/s": "7/s"}, {"7/": "100/min"}),
    "rate_limit_webhook_test": ({"7/min": "7/min"}, {"7 a minute": "100/min"}),
    "trusted_proxies": (
        {"10.0.0.0/8, ::1": "10.0.0.0/8, ::1"},
        {"proxy.example": "proxy.example", "10.0.0.0/40": "10.0.0.0/40"},
    ),
    "cors_origins": (
        {"*": "*", "https://a.example,http://localhost:3000": "https://a.example,http://localhost:3000"},
        {"null": "look like", "a.example": "look like", "https://a.example/": "look like",
         "https://*.example": "look like", "https://A.example": "look like",
         "https://a.example:443": "look like"},
    ),
    "otlp_url": (
        {"http://127.0.0.1:4318": "http://127.0.0.1:4318", "https://a.example/otlp": "https://a.example/otlp"},
        {"127.0.0.1:4318": "look like", "grpc://a.example": "look like", "http://u:p@a.example": "password",
         "http://a.example:port": "look like", "https://a.example/?key=1": "a query"},
    ),
    "trace_percent": (
        {"0": 0, "100": 100}, {"101": "between 0 and 100", "-1": "between", "0.5": "whole number"},
    ),
    "require_verified_email": ({"true": True}, {"": ""}),
    "payment_provider": (
        {"instant": "instant"},
        {"paypal": "must be one of: instant, stripe", "stripe": "needs VEZA_STRIPE_SECRET_KEY and VEZA"},
    ),
    "stripe_secret_key": ({"rk_live_4242": "rk_live_4242"}, {"pk_live_4242": "sk_test_", "4242": "sk_test_"}),
    "stripe_webhook_secrets": (
        {"whsec_a, whsec_b+/=": "whsec_a, whsec_b+/="},
        {"we_1": "whsec_", "whsec_a;whsec_b": "whsec_"},
    ),
    "stripe_api_url": (
        {"http://127.0.0.1:12111": "http://127.0.0.1:12111"},
        {"127.0.0.1:12111": "begin with", "[": "begin with"},
    ),
    "payment_return_url": (
        {"https://a.example/thanks?x=1": "https://a.example/thanks?x=1"}, {"/thanks": "begin with"},
    ),
    "presigned_downloads": ({"false": False}, {"maybe": "true or false"}),
    "platform_fee": (
        {"0": 0, "10000": 10_000}, {"-1": "between", "10001": "between", "2.5": "whole number"},
    ),
    "accept_days": ({"14": 14}, {"0": "between", "367": "between"}),
    "deliver_days": ({"30": 30}, {"0": "between", "367": "between"}),
    "payout_minimum": ({"1": 1}, {"0": "1 or more"}),
    "max_file_size": ({"1000": 1000}, {"0": "1 or more", "1MB": "whole number"}),
    "quota": ({"1000": 1000}, {"-1": "1 or more"}),
    "webhook_allow_private": ({"true": True, "no": False}, {"perhaps": "true or false"}),
    "clamd_url": ({"unix:///run/clamd.ctl": "unix:///run/clamd.ctl"}, {}),
    "geoip_database": ({"/srv/countries.mmdb": Path("/srv/countries.mmdb")}, {}),
    "serve_jobs": ({"true": True}, {"false": "PostgreSQL"}),
    "media_jobs": ({"4": 4}, {"0": "1 or more"}),
    "log_format": ({"json": "json"}, {"xml": "json"}),
    "log_level": ({"debug": "debug"}, {"loud": "debug"}),
    "access_log": ({"no": False}, {"some": "true or false"}),
}  # fmt: skip
GOOD = [(name, text, value) for name, (good, _) in ROWS.items() for text, value in good.items()]
BAD = [(name, text, said) for name, (_, bad) in ROWS.items() for text, said in bad.items() if text]
HERE = Path("/nowhere/veza.toml")


def variable(name: str) -> str:
    return f"VEZA_{name.upper()}"


def test_every_setting_has_a_row():
    assert ROWS.keys() | {"s3"} == {field.name for field in msgspec.structs.fields(Settings)}


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_good_value_is_read(name, text, value):
    assert getattr(load({variable(name): text}, HERE), name) == value


@pytest.mark.parametrize(("name", "text", "said"), BAD)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(name, text, said):
    with pytest.raises(BadSetting) as caught:
        load({variable(name): text}, HERE)
    line = str(caught.value)
    assert variable(name) in line
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["VEZA_PROT", "VEZA_S3", "VEZA_"])
def test_an_unknown_setting_is_refused(name):
    with pytest.raises(BadSetting, match="not a setting"):
        load({name: "x"}, HERE)


def test_an_empty_variable_is_none():
    assert load(dict.fromkeys(map(variable, ROWS), ""), HERE) == load({}, HERE)


def test_other_variables_are_not_ours():
    settings = load({"PATH": "/bin", "PORT": "1", "AWS_REGION": "eu-1", "AWS_ENDPOINT": "http://s3"}, HERE)
    assert settings.port == 8080
    assert settings.s3 == {"AWS_REGION": "eu-1", "AWS_ENDPOINT": "http://s3"}


def test_a_file_is_read_and_overruled_by_the_environment(tmp_path):
    file = tmp_path / "veza.toml"
    file.write_text('port = 1234\nhost = "::1"\nrate_limit_enabled = false\ndata_dir = "/srv/veza"\n')
    settings = load({"VEZA_PORT": "4321", "VEZA_CONFIG": str(file)})
    assert (settings.port, settings.host, settings.rate_limit_enabled) == (4321, "::1", False)
    assert settings.data_dir == Path("/srv/veza")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = ", "veza.toml"),
        ("port = true", "VEZA_PORT=True is not a whole number"),
        ("port = 1.5", "VEZA_PORT=1.5 is not a whole number"),
        ("host = 1", "VEZA_HOST=1 is not a text"),
        ("access_log = 1", "VEZA_ACCESS_LOG=1 is not true or false"),
        ("data_dir = 1", "VEZA_DATA_DIR=1 is not a path"),
        ("[host]\nname = 1", "VEZA_HOST"),
        ("colour = 1", "VEZA_COLOUR is not a setting"),
        ("port = 99999", "VEZA_PORT must be"),
        ("\udcff", "veza.toml"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, content, said):
    file = tmp_path / "veza.toml"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadSetting) as caught:
        load({}, file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_is_not_repeated(tmp_path):
    file = tmp_path / "veza.toml"
    file.write_text("secret_key = 123456789")
    with pytest.raises(BadSetting) as caught:
        load({}, file)
    assert "123456789" not in str(caught.value)


@pytest.mark.parametrize("sign", ["/", "?", "#", "[", "]", "@/", "\N{ACCOUNT OF}"])
@pytest.mark.parametrize("before", ["hush", "12"])
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("database_url", "postgresql://veza:{}@127.0.0.1:5432/veza"),
        ("database_read_url", "postgres://veza:{}@127.0.0.1/veza"),
        ("redis_url", "redis://:{}@127.0.0.1:6379/0"),
        ("redis_url", "redis://veza:{}@127.0.0.1"),
        ("smtp_url", "smtp+starttls://veza:{}@127.0.0.1"),
    ],
)
def test_a_password_that_is_not_written_as_it_must_be_is_refused_and_not_shown(name, url, before, sign):
    """D5: to drivers it ends at that sign, and they complain of what comes behind it, or go there."""
    with pytest.raises(BadSetting) as caught:
        load({variable(name): url.format(f"{before}{sign}quiet")}, HERE)
    assert str(caught.value).startswith(f"{variable(name)} cannot be read as a URL: ")
    assert "%2F" in str(caught.value)
    assert not re.search("hush|12|quiet|veza", str(caught.value))
    good = url.format(f"{before}{quote(sign, safe='')}quiet")
    assert mistake(good) == ""
    assert "quiet" not in where(good)
    assert "quiet" not in where(url.format(f"{before}{sign}quiet"))


def test_the_first_at_ends_a_password_of_postgresql():
    with pytest.raises(BadSetting, match="%40"):
        load({"VEZA_DATABASE_URL": "postgresql://veza:hush@quiet@h/veza"}, HERE)


def test_a_file_that_was_asked_for_must_be_there(tmp_path):
    with pytest.raises(BadSetting, match="VEZA_CONFIG"):
        load({"VEZA_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("smtp_url", "http://h", "VEZA_SMTP_URL"),
        ("smtp_url", "smtp://user:pass@mail.example", "in the clear"),
        ("mail_from", "nobody", "VEZA_MAIL_FROM"),
        ("redis_url", "redis://h:port", "VEZA_REDIS_URL"),
        ("clamd_url", "http://h:3310", "VEZA_CLAMD_URL"),
        ("clamd_url", "tcp://h:port", "VEZA_CLAMD_URL"),
        ("clamd_url", "tcp://h:3310/path", "VEZA_CLAMD_URL"),
        ("clamd_url", "unix://run/clamd.ctl", "VEZA_CLAMD_URL"),
        ("clamd_url", "unix:///", "VEZA_CLAMD_URL"),
        ("geoip_database", Path("/nowhere/countries.mmdb"), "VEZA_GEOIP_DATABASE"),
        ("storage_url", "s3://", "VEZA_STORAGE_URL"),
        ("database_url", "sqlite:////dev/null/veza.db", "VEZA_DATABASE_URL"),
        ("data_dir", Path("/dev/null/veza"), "VEZA_DATA_DIR"),
    ],
)
async def test_what_only_its_part_can_judge_is_refused_too(tmp_path, name, value, said):
    with pytest.raises(BadSetting) as caught:
        make_parts(Settings(**{"data_dir": tmp_path, name: value}))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://localhost:8080"),
        ("::", "http://localhost:8080"),
        ("::1", "http://[::1]:8080"),
        ("music.example", "http://music.example:8080"),
    ],
)
def test_links_begin_where_the_server_is_reached(host, url):
    """X20: also on a host that speaks IPv6 alone."""
    assert address_of(host, 8080) == url
    assert load({"VEZA_HOST": host}, HERE).base_url == url


def test_stripe_needs_all_that_belongs_to_it():
    """K19: and no line tells a secret."""
    given = {
        "VEZA_PAYMENT_PROVIDER": "stripe", "VEZA_STRIPE_SECRET_KEY": "sk_test_4242",
        "VEZA_STRIPE_WEBHOOK_SECRETS": "whsec_a, whsec_b", "VEZA_PUBLIC_URL": "https://music.example",
    }  # fmt: skip
    assert load(given, HERE).webhook_secrets == ("whsec_a", "whsec_b")
    for name in list(given)[1:]:
        with pytest.raises(BadSetting, match=f"stripe needs {name} as well"):
            load(given | {name: ""}, HERE)
    for name in ("VEZA_STRIPE_SECRET_KEY", "VEZA_STRIPE_WEBHOOK_SECRETS"):
        with pytest.raises(BadSetting) as caught:
            load(given | {name: "hush hush"}, HERE)
        assert "hush" not in str(caught.value)
