"""
`broker federation-config`: what Package Manager's administrator pastes is what the broker says in its assertions.
"""

import pytest

from broker import config
from broker.cli.setup import federation_section
from broker.emulator.gcfg import read
from broker.errors import InvalidParameter

ISSUER = "https://broker.example.com/"


def parsed(text):
    faults = []
    sections = read(text, "pasted", faults)
    assert [] == faults
    return [(s.name, s.sub, {setting.key: setting.value for setting in s.settings.values()}) for s in sections]


def test_the_section_is_read_back_as_the_settings(cli, initialised):
    said = cli("federation-config", "--data-dir", initialised)

    assert (0, "") == (said.code, said.err)
    assert [
        (
            "IdentityFederation",
            "connect",
            {
                "Issuer": ISSUER,
                "Audience": "package-manager",
                "Subject": "connect",
                "AuthorizedParty": "broker",
                "RoleClaim": "roles",
                "UniqueIdClaim": "owner_guid",
                "UsernameClaim": "preferred_username",
            },
        )
    ] == parsed(said.out)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "two words",
        " spaces around ",
        'a "quoted" word',
        "back\\slash",
        "a;b",
        "a#b",
        "ünï",
        "[x]",
        "a=b",
        "\\",
        '"',
    ],
)
@pytest.mark.parametrize("name", ["audience", "subject", "authorized_party"])
def test_whatever_a_setting_holds_is_read_back_the_same(tmp_path, name, value):
    """
    Quotes, comments and escapes of the format do not change what it says.
    """
    settings = config.check({"issuer": ISSUER, "data_dir": tmp_path, name: value})

    ((_, _, section),) = parsed(federation_section(settings, "connect"))

    key = {"audience": "Audience", "subject": "Subject", "authorized_party": "AuthorizedParty"}[name]
    assert value == section[key]
    assert 7 == len(section)


@pytest.mark.parametrize("name", ["connect", "Connect Prod", "a-b_c.d", "ünï", "a;b", "a#b"])
def test_the_section_may_have_another_name(cli, initialised, name):
    said = cli("federation-config", "--data-dir", initialised, "--name", name)

    ((_, sub, _),) = parsed(said.out)
    assert name == sub


@pytest.mark.parametrize(
    "name",
    ["", '"', 'a"]\nIssuer = "https://evil.example/"', "a]", "a\\", "a\nb", "a\rb", "a\0b", "a\u202eb", "\udcff"],
)
def test_a_name_that_would_write_lines_of_its_own_is_refused(cli, initialised, tmp_path, name):
    """
    What is printed is pasted into a file that decides who is trusted.
    """
    if "\0" in name:
        with pytest.raises(InvalidParameter):
            federation_section(config.check({"issuer": ISSUER, "data_dir": tmp_path}), name)
        return

    said = cli("federation-config", "--data-dir", initialised, f"--name={name}")

    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("broker: the name of a section")


def test_without_settings_the_way_to_make_them_is_told(cli, folder):
    said = cli("federation-config", "--data-dir", folder)

    assert (1, "") == (said.code, said.out)
    assert "run `broker init --issuer https://…/`" in said.err


def test_settings_in_variables_are_enough(cli, folder):
    said = cli("federation-config", BROKER_ISSUER="https://h.example/x/", BROKER_DATA_DIR=folder, BROKER_SUBJECT="s")

    ((_, _, section),) = parsed(said.out)
    assert ("https://h.example/x/", "s") == (section["Issuer"], section["Subject"])


def test_wrong_settings_are_told(cli, initialised):
    said = cli("federation-config", "--data-dir", initialised, BROKER_PORT="x", BROKER_WORKERS="y")

    assert (78, "") == (said.code, said.out)
    assert "2 settings are wrong" in said.err
