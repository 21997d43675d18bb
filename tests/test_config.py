"""
Settings: where they come from, and that every fault is told, completely, kindly and without a secret.
"""

import re
from pathlib import Path

import pytest

from broker.config import FILE_NAME, PREFIX, Settings, check, default_data_dir, file_of, load
from broker.errors import NotInitialised, SettingsFault

DOCUMENT = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
ISSUER = "https://broker.example.com/"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / FILE_NAME).write_text(f'issuer = "{ISSUER}"\n')
    return tmp_path


def write(folder, text):
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def faults_of(folder, **environ):
    with pytest.raises(SettingsFault) as caught:
        load(environ, data_dir=folder)
    return caught.value.faults


# --- where they come from -------------------------------------------------------------------------------------------
def test_a_file_with_an_issuer_is_enough(folder):
    """
    Every other setting has a default that works.
    """
    settings = load({}, data_dir=folder)

    assert (ISSUER, folder, 8080, 1) == (settings.issuer, settings.data_dir, settings.port, settings.workers)
    assert folder / "signing-keys.json" == settings.key_file
    assert f"sqlite:///{folder}/broker.db" == settings.storage_url


def test_the_file_is_utf_8_whatever_the_language_of_the_machine(folder):
    write(folder, f'issuer = "{ISSUER}"\naudience = "Päckchen \U0001f4e6"\n')

    assert "Päckchen \U0001f4e6" == load({}, data_dir=folder).audience


def test_a_variable_wins_over_the_file_and_the_command_line_over_both(tmp_path, folder):
    write(folder, f'issuer = "{ISSUER}"\nport = 1111\ndata_dir = "/file"\n')
    environ = {"BROKER_PORT": "2222", "BROKER_DATA_DIR": "/variable"}

    assert 2222 == load(environ, data_dir=folder).port
    assert folder == load(environ, data_dir=folder).data_dir
    assert Path("/variable") == load(environ, file=folder / FILE_NAME).data_dir
    assert Path("/file") == load({}, file=folder / FILE_NAME).data_dir


def test_variables_alone_are_enough(tmp_path):
    environ = {
        "BROKER_ISSUER": ISSUER,
        "BROKER_DATA_DIR": str(tmp_path),
        "BROKER_SIGNING_ALGORITHMS": "RS256, ES256",
        "BROKER_ALLOW_LOOPBACK": "true",
        "BROKER_EXCHANGE_TIMEOUT": "2.5",
    }

    settings = load(environ)

    assert (["RS256", "ES256"], True, 2.5) == (
        settings.signing_algorithms,
        settings.allow_loopback,
        settings.exchange_timeout,
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/b"}, "/home/b/.local/share/broker"),
        ({"HOME": "/home/b", "XDG_DATA_HOME": "/data"}, "/data/broker"),
        ({"HOME": "/home/b", "XDG_DATA_HOME": ""}, "/home/b/.local/share/broker"),
    ],
)
def test_the_data_directory_follows_the_xdg_directories(environ, expected):
    assert Path(expected) == default_data_dir(environ)


def test_the_workers_are_told_of_the_very_file_that_was_read(folder, tmp_path):
    """
    A file may name another data directory than the one it lies in.
    """
    assert folder / FILE_NAME == file_of({}, data_dir=folder)
    assert folder / FILE_NAME == file_of({"BROKER_SETTINGS": str(folder / FILE_NAME)})
    assert None is file_of({}, data_dir=tmp_path / "nothing")


# --- what is not there ----------------------------------------------------------------------------------------------
def test_without_any_settings_the_way_to_make_them_is_told(tmp_path):
    with pytest.raises(NotInitialised, match=r"broker init --issuer") as caught:
        load({"HOME": str(tmp_path)})

    assert str(tmp_path / ".local/share/broker" / FILE_NAME) in caught.value.message


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_file_that_was_named_and_is_missing_is_never_taken_for_an_empty_one(tmp_path, how):
    """
    Its restrictions would be gone unnoticed, although the variables alone would do (T38).
    """
    environ = {"BROKER_ISSUER": ISSUER, "BROKER_DATA_DIR": str(tmp_path)}
    missing = tmp_path / "missing.toml"
    more = {"file": missing} if how == "option" else {}
    environ |= {} if how == "option" else {"BROKER_SETTINGS": str(missing)}

    with pytest.raises(NotInitialised, match=r"missing\.toml does not exist"):
        load(environ, **more)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"issuer = ", "is not TOML"),
        (b"issuer", "is not TOML"),
        (b"[issuer", "is not TOML"),
        (b'issuer = "x\nport = 1', "is not TOML"),
        (b"port = 1\nport = 2", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"\0", "is not TOML"),
        (b"\x1f\x8b\x08\0", "is not TOML"),
    ],
)
def test_a_broken_file_is_named_and_nothing_else_is_complained_about(folder, content, says):
    (folder / FILE_NAME).write_bytes(content)

    (fault,) = faults_of(folder)

    assert str(folder / FILE_NAME) in fault
    assert says in fault


def test_a_broken_file_does_not_hide_a_misspelt_variable(folder):
    write(folder, "issuer")

    assert 2 == len(faults_of(folder, BROKER_PROT="1"))


def test_a_folder_is_not_a_settings_file(tmp_path):
    (tmp_path / FILE_NAME).mkdir()

    (fault,) = faults_of(tmp_path)

    assert "cannot be read: Is a directory" in fault


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    (fault,) = faults_of(tmp_path / ("x" * 300))

    assert "cannot be read: File name too long" in fault


# --- every fault at once --------------------------------------------------------------------------------------------
def test_every_fault_is_told_at_once_with_name_value_and_remedy(folder):
    write(
        folder,
        """
        issuer = "http://broker.example.com"
        port = 99999
        workers = "many"
        audience = ""
        subject = "two\\nlines"
        signing_algorithms = ["ES256"]
        build_duration = 7200
        max_build_duration = 3600
        tls_key = "/nonexistent/key.pem"
        ca_file = "/nonexistent/ca.pem"
        log_level = "loud"
        isuer = "x"
        [server]
        port = 1
        """,
    )

    faults = faults_of(folder, BROKER_ALOW_LOOPBACK="true")

    expected = [
        "BROKER_ALOW_LOOPBACK is not a setting; did you mean BROKER_ALLOW_LOOPBACK?",
        "audience = '': String should have at least 1 character",
        "ca_file = '/nonexistent/ca.pem': is not a file",
        "issuer = 'http://broker.example.com': must be an https:// URL that ends with a slash",
        "isuer is not a setting; did you mean issuer?",
        "log_level = 'loud': Input should be 'debug', 'info', 'warning' or 'error'",
        "max_build_duration = 3600: is shorter than build_duration",
        "port = 99999: Input should be less than or equal to 65535",
        "server is not a setting (docs/settings.md lists them)",
        "signing_algorithms = ['ES256']: must include RS256",
        "subject = 'two\\nlines': must not hold line breaks",
        "tls_key = '/nonexistent/key.pem': is not a file",
        "workers = 'many': Input should be a valid integer",
    ]
    assert len(expected) == len(faults)
    assert expected == [fault[: len(start)] for fault, start in zip(sorted(faults), expected, strict=True)]


@pytest.mark.parametrize("count", [1, 2])
def test_the_message_counts_the_faults_and_lists_them(folder, count):
    write(folder, f'issuer = "{ISSUER}"\n' + "\n".join(f"setting_{n} = 1" for n in range(count)))

    with pytest.raises(SettingsFault) as caught:
        load({}, data_dir=folder)

    lines = caught.value.message.splitlines()
    assert ["1 setting is wrong:", "2 settings are wrong:"][count - 1] == lines[0]
    assert [f"  - setting_{n} is not a setting (docs/settings.md lists them)" for n in range(count)] == lines[1:]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [("BROKER_ISSUR", "BROKER_ISSUER"), ("BROKER_DATADIR", "BROKER_DATA_DIR"), ("BROKER_LOGLEVEL", "BROKER_LOG_LEVEL")],
)
def test_a_misspelt_variable_is_a_fault_with_a_suggestion(folder, variable, meant):
    """
    A restriction that is not in force because of a typing error would go unnoticed.
    """
    assert (f"{variable} is not a setting; did you mean {meant}?",) == faults_of(folder, **{variable: "x"})


@pytest.mark.parametrize(
    "variable",
    ["BROKER_SERVER", "BROKER_API_KEY", "BROKER_OWNER", "BROKER_CONTENT", "BROKER_RUN_DIR", "BROKER_ORIG_R_PROFILE",
     "BROKER_CONFIG_DIRECTORY_OF_ANOTHER_PROGRAM", "PORT", "ISSUER", "broker_port"],
)  # fmt: skip
def test_variables_for_others_are_left_alone(folder, variable):
    assert ISSUER == load({variable: "nonsense"}, data_dir=folder).issuer


# --- secrets --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ['"postgresql://u:canary@h/d"', '["canary"]', "{ canary = 1 }"])
def test_a_database_url_is_never_repeated(folder, value):
    """
    It may hold a password (T35).
    """
    write(folder, f'issuer = "nonsense"\ndatabase_url = {value}\ndatabase_urls = {value}\n')

    with pytest.raises(SettingsFault) as caught:
        load({}, data_dir=folder)

    assert "canary" not in caught.value.message
    assert "canary" not in repr(caught.value)


def test_settings_do_not_print_a_database_url(tmp_path):
    settings = check({"issuer": ISSUER, "data_dir": tmp_path, "database_url": "postgresql://u:canary@h/d"})

    assert "canary" not in f"{settings} {settings!r}"
    assert "postgresql://u:canary@h/d" == settings.storage_url


# --- the issuer -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("issuer", "prefix"),
    [
        ("https://broker.example.com/", ""),
        ("https://broker.example.com/connect/", "/connect"),
        ("https://broker.example.com/a/b-c/d_e/f~g/h.i/", "/a/b-c/d_e/f~g/h.i"),
        ("https://broker.example.com:8443/", ""),
        ("https://broker/", ""),
        ("https://10.0.0.1/", ""),
        ("https://[2001:db8::1]:8443/", ""),
        ("http://127.0.0.1:8080/", ""),
        ("http://127.9.9.9/", ""),
        ("http://localhost:8080/x/", "/x"),
        ("http://[::1]:8080/", ""),
        ("https://broker.example.com/oauth2/", "/oauth2"),
    ],
)
def test_a_good_issuer_is_taken_byte_for_byte(tmp_path, issuer, prefix):
    settings = check({"issuer": issuer, "data_dir": tmp_path})

    assert (issuer, prefix) == (settings.issuer, settings.path_prefix)


@pytest.mark.parametrize(
    "issuer",
    ["", "/", "broker.example.com/", "https://broker.example.com", "https://broker.example.com/x", "https:///", "https://",
     "http://broker.example.com/", "http://10.0.0.1/", "http://localhost.example.com/", "http://127.0.0.1.example.com/",
     "http://0.0.0.0/", "ftp://h/", "javascript://h/", "HTTPS://broker.example.com/", "Https://broker.example.com/",
     "https://Broker.example.com/", "https://BROKER/", "https://[2001:DB8::1]/",
     "https://u@h/", "https://u:p@h/", "https://@h/", "https://h@/", "https://h/@/",
     "https://h/?/", "https://h?/", "https://h/?x=/", "https://h/#/", "https://h#/", "https://h/x?y#z/",
     "https://h//", "https://h//x/", "https://h/x//", "https://h/./", "https://h/../", "https://h/x/../",
     "https://h/%2e%2e/", "https://h/a%20b/", "https://h/a b/", "https://h /", " https://h/", "https://h/ ",
     "https://h/\n", "https://h\n/", "https://h/\n/", "https://h/a\r\nX: y/", "https://h/\t/", "https://h/\0/",
     "https://h:/", "https://h:0/", "https://h:65536/", "https://h:999999/", "https://h:x/", "https://h:-1/",
     "https://[/", "https://[::1/", "https://::1/", "https://[x]/", "https://[::ffff:g]/",
     "https://h\\/", "https://h/\\/", 'https://h/"/', "https://h/;/", "https://h/<x>/", "https://h_x/", "https://h,i/",
     "https://b\u00fccher.example/", "https://h/\u00fc/", "https://\uff48/", "https://h\u3002example/", "https://h/\ud800/",
     "https://h/openid/", "https://h/oauth/", "https://h/__api__/", "https://h/.well-known/", "https://h/healthz/x/"],
    ids=ascii,
)  # fmt: skip
def test_a_bad_issuer_is_refused(tmp_path, issuer):
    """
    Verifiers compare it byte for byte and fetch keys below it; what two readers see differently is refused (T12).
    """
    with pytest.raises(SettingsFault) as caught:
        check({"issuer": issuer, "data_dir": tmp_path})

    (fault,) = caught.value.faults
    assert fault.startswith("issuer = ")
    assert fault.isprintable()


# --- values ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value"),
    [("host", "a b"), ("host", "a\nb"), ("host", ""), ("host", "http://x"), ("host", 'x"'), ("port", 0), ("port", -1),
     ("port", 65536), ("port", "x"), ("port", 2**70), ("port", 80.5), ("workers", 0), ("workers", 65),
     ("audience", "x" * 256), ("audience", "a\x1bb"), ("subject", ""), ("authorized_party", "a\u2028b"),
     ("signing_algorithms", []), ("signing_algorithms", ["HS256", "RS256"]), ("signing_algorithms", ["none"]),
     ("signing_algorithms", "RS256"), ("assertion_lifetime", 9), ("assertion_lifetime", 301), ("build_duration", 59),
     ("max_build_duration", 604801), ("jwks_max_age", -1), ("jwks_max_age", 86401), ("key_check_interval", 0),
     ("key_check_interval", 3601), ("key_publish_ahead", 0), ("key_publish_ahead", 30 * 86400 + 1),
     ("key_lifetime_days", 0), ("key_lifetime_days", 3651), ("key_lifetime_days", 1.5), ("exchange_timeout", 0),
     ("exchange_timeout", 121), ("exchange_timeout", float("nan")), ("exchange_timeout", float("inf")),
     ("allow_loopback", "perhaps"), ("allow_cleartext", 2), ("max_body_bytes", 1023), ("max_body_bytes", 2**27),
     ("log_level", "INFO"), ("ca_file", "/nonexistent"), ("ca_file", "/"), ("ca_file", "x" * 300),
     ("tls_certificate", "/nonexistent"), ("data_dir", "/tmp/a?b"), ("data_dir", "/tmp/a\nb"), ("data_dir", 5),
     ("data_dir", "/tmp/\udcff")],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_an_impossible_value_is_told_with_its_setting(tmp_path, name, value):
    with pytest.raises(SettingsFault) as caught:
        check({"issuer": ISSUER, "data_dir": tmp_path, name: value})

    assert [] == [fault for fault in caught.value.faults if not fault.startswith((f"{name} = ", "tls_key = None"))]
    assert len(caught.value.message) < 1500


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"tls_certificate": __file__}, "belong together"),
        ({"tls_key": __file__}, "belong together"),
        ({"max_build_duration": 60}, "is shorter than build_duration"),
        ({"build_duration": 90000}, "is shorter than build_duration"),
        ({"key_publish_ahead": 719}, "must be at least 720: twice jwks_max_age and twice key_check_interval"),
        ({"key_publish_ahead": 93600, "jwks_max_age": 86400}, "must be at least 172920"),
        ({"key_lifetime_days": 1}, "is too short: each key is published 93600 seconds before it signs"),
        ({"key_lifetime_days": 2, "jwks_max_age": 86400}, "is too short: each key is published 172920 seconds"),
    ],
)
def test_settings_that_belong_together_are_checked_together(tmp_path, given, fault):
    with pytest.raises(SettingsFault, match=fault):
        check({"issuer": ISSUER, "data_dir": tmp_path, **given})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 26 * 3600),
        ({"key_publish_ahead": 720}, 720),
        ({"key_publish_ahead": 30 * 86400}, 30 * 86400),
        ({"jwks_max_age": 86400}, 2 * 86400 + 120),
        ({"jwks_max_age": 0, "key_check_interval": 1, "key_publish_ahead": 2}, 2),
    ],
)
def test_a_key_is_published_for_a_day_and_more_unless_settings_say_otherwise(tmp_path, given, expected):
    """
    For verifiers that keep the keys for a day, whatever they are told (T42).
    """
    assert expected == check({"issuer": ISSUER, "data_dir": tmp_path, **given}).publish_ahead


# --- docs/settings.md -----------------------------------------------------------------------------------------------
ROWS = {
    cells[0]: cells
    for cells in re.findall(r"^\| `([a-z_]+)` \| `([A-Z_]+)` \| (.*?) \| (.*) \|$", DOCUMENT, re.MULTILINE)
}


def _as_variable(default):
    return (
        {True: "true", False: "false"}[default]
        if isinstance(default, bool)
        else ",".join(default)
        if isinstance(default, list)
        else str(default)
    )


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_with_its_variable_and_default(name):
    special = {"issuer": "required", "data_dir": "`$XDG_DATA_HOME/broker`"}
    default = Settings.model_fields[name].get_default()
    shown = special.get(name) or ("-" if default is None else f"`{_as_variable(default)}`")

    assert (f"{PREFIX}{name.upper()}", shown) == (ROWS[name][1], ROWS[name][2])


def test_no_setting_is_described_that_does_not_exist():
    assert set() == set(ROWS) - set(Settings.model_fields)
