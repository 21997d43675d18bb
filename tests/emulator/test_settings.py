"""
The identity federations of rstudio-pm.gcfg.
"""

import pytest

from broker.emulator.settings import IdentityFederation, load_federations, read_federations
from broker.errors import SettingsFault

VENDOR_EXAMPLE = """
[Server]
Address = "https://packages.company.internal"

[IdentityFederation "connect"]
Issuer = "https://connect.company.internal/"     ; must end with a slash
Audience = "package-manager"
Subject = "connect"
RoleClaim = "roles"
"""


def federation(*lines, drop=()):
    """The vendor's section with more lines, without those that start with one of `drop`."""
    kept = [line for line in VENDOR_EXAMPLE.splitlines() if not line.startswith(tuple(drop) or "\0")]
    return "\n".join([*kept, *lines])


def read(text):
    faults = []
    found = read_federations(text, "pm.gcfg", faults)
    return found, faults


def test_the_vendor_guides_example_is_read():
    expected = IdentityFederation(
        name="connect",
        issuer="https://connect.company.internal/",
        audience="package-manager",
        subject="connect",
        role_claim="roles",
    )

    assert ((expected,), []) == read(VENDOR_EXAMPLE)


def test_every_key_of_the_section_is_known():
    text = federation(
        "Logging = true",
        "AuthorizedParty = client",
        "Scope = openid",
        "CustomScope = more",
        "NoAutoGroupsScope = true",
        "GroupsClaim = groups",
        'GroupsSeparator = ","',
        'RolesSeparator = " "',
        "UniqueIdClaim = owner_guid",
        "UsernameClaim = preferred_username",
        "TokenLifetime = 30m",
    )

    (one,), faults = read(text)

    assert [] == faults
    assert ("client", " ", "owner_guid", "preferred_username", 1800) == (
        one.authorized_party,
        one.roles_separator,
        one.unique_id_claim,
        one.username_claim,
        one.token_lifetime,
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("90s", 90), ("90", 90), ("1h30m", 5400), ("1d", 86400), ("1m1s", 61)]
)
def test_a_lifetime_is_a_duration(text, seconds):
    (one,), _ = read(federation(f"TokenLifetime = {text}"))

    assert seconds == one.token_lifetime


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # issuer
        (federation("Issuer = https://connect.company.internal"), "must end with a slash"),
        (federation("Issuer = connect.company.internal/"), "must be an http(s) URL"),
        (federation("Issuer = ftp://connect.company.internal/"), "must be an http(s) URL"),
        (federation("Issuer = https:///"), "must be an http(s) URL"),
        (federation("Issuer = https://[/"), "is not a URL"),
        (federation("Issuer = https://a:b/"), "is not a URL"),
        (federation("Issuer = https://u:p@connect.company.internal/"), "a user name"),
        (federation("Issuer = https://connect.company.internal/?q/"), "must not have a query"),
        (federation('Issuer = " https://connect.company.internal/"'), "white space"),
        # the rest
        (federation("Audience ="), "is empty"),
        (federation('RolesSeparator = ""'), "is empty"),
        (federation("TokenLifetime = soon"), "is not a duration"),
        (federation("TokenLifetime ="), "is not a duration"),
        (federation("TokenLifetime = 0s"), "out of range"),
        (federation("TokenLifetime = 9999d"), "out of range"),
        (federation("Isuer = x"), "did you mean Issuer?"),
        (federation("RoleClaims = x"), "did you mean RoleClaim?"),
        (federation("zzz = x"), "there are Issuer, Audience"),
        # missing
        (federation(drop=["Issuer"]), "has no Issuer"),
        (federation(drop=["Audience"]), "has no Audience"),
        (federation(drop=["Subject"]), "has no Subject"),
        ("[IdentityFederation]\nIssuer = https://a/\nAudience = b\nSubject = c", "needs a name"),
        ("[Server]\nAddress = x", "broker federation-config"),
        ("", "no issuer is trusted"),
    ],
)
def test_a_wrong_section_is_refused_with_the_remedy(text, fault):
    """A federation that does not say whom it means is not saved (T15)."""
    _, faults = read(text)

    assert 1 == len(faults)
    assert fault in faults[0]


def test_all_faults_of_the_file_come_in_one_message_with_file_and_line(tmp_path):
    config = tmp_path / "pm.gcfg"
    config.write_text('[IdentityFederation "x"]\nIssuer = nowhere\nAudiense = a\nk v\n')

    with pytest.raises(SettingsFault) as caught:
        load_federations(config)

    assert 5 == len(caught.value.faults)
    assert all(fault.startswith("pm.gcfg, line ") for fault in caught.value.faults)


def test_two_federations_with_one_issuer_are_refused():
    _, faults = read(VENDOR_EXAMPLE + VENDOR_EXAMPLE.replace('"connect"]', '"second"]'))

    assert ["same Issuer" in fault for fault in faults] == [True]


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "cannot be read"), (b"\xff\xfe", "not UTF-8"), (b"#" * (1024 * 1024 + 1), "larger than")],
)
def test_a_file_that_is_none_is_refused(tmp_path, content, fault):
    config = tmp_path / "pm.gcfg"
    if content is not None:
        config.write_bytes(content)

    with pytest.raises(SettingsFault, match=fault):
        load_federations(config)
