"""
The `config` object of the ppm template: read strictly, changed field by field.
"""

import re

import pytest
from hypothesis import given

from broker.domain.plan import Defaults
from broker.domain.templates import FIELDS, TEXTS, OutboundRules, Template, to_values
from broker.errors import InvalidTemplateConfig
from tests.domain.samples import DEFAULTS, config, integrations, scope_sets

STRICT = OutboundRules(allow_cleartext=False, allow_loopback=False)
LENIENT = OutboundRules(allow_cleartext=True, allow_loopback=True)
TEMPLATE = Template(STRICT, frozenset({"RS256", "ES256"}))
SMALLEST = {"ppm_url": "https://packages.example.com", "scopes": "repos:read:*"}
LARGEST = {
    **SMALLEST,
    "scopes": "global:admin repos:read:cran",
    "audience": "other",
    "subject": "someone",
    "signing_algorithm": "ES256",
    "allow_other_scopes": "true",
}


@pytest.mark.parametrize("values", [SMALLEST, LARGEST], ids=["smallest", "largest"])
def test_what_is_shown_is_what_was_given(values):
    assert values == to_values(TEMPLATE.parse(values))


def test_spellings_become_one():
    given = {"ppm_url": " HTTPS://Packages.Example.com/ ", "scopes": "repos:read:b\n repos:read:a", "audience": None}

    assert {"ppm_url": "https://packages.example.com", "scopes": "repos:read:a,b"} == to_values(TEMPLATE.parse(given))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ppm_url": None}, "ppm_url"),
        ({"ppm_url": ""}, "ppm_url"),
        ({"ppm_url": 5}, "ppm_url"),
        ({"ppm_url": ["https://a.example"]}, "ppm_url"),
        ({"ppm_url": "packages.example.com"}, "ppm_url"),
        ({"scopes": None}, "scopes"),
        ({"scopes": "  "}, "scopes"),
        ({"scopes": ["repos:read:*"]}, "scopes"),
        ({"scopes": "repos:write:*"}, "scopes"),
        ({"scopes": "global:admin"}, "allow_other_scopes"),
        ({"allow_other_scopes": "yes"}, "allow_other_scopes"),
        ({"allow_other_scopes": "True"}, "allow_other_scopes"),
        ({"allow_other_scopes": 2}, "allow_other_scopes"),
        ({"allow_other_scopes": []}, "allow_other_scopes"),
        ({"allow_other_scopes": {}}, "allow_other_scopes"),
        ({"audience": ""}, "audience"),
        ({"audience": ["package-manager"]}, "audience"),
        ({"subject": "a\nb"}, "subject"),
        ({"signing_algorithm": "HS256"}, "signing_algorithm"),
        ({"signing_algorithm": "none"}, "signing_algorithm"),
        ({"signing_algorithm": "EdDSA"}, "there is ES256, RS256"),
        ({"signing_algorithm": "x" * 5000}, "signing_algorithm"),
        ({"client_secret": "canary"}, "client_secret is unknown"),
        ({"x" * 5000: "canary"}, "is unknown"),
        ({"PPM_URL": "https://a.example"}, "PPM_URL is unknown"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named_and_its_value_not_repeated_at_length(change, field):
    with pytest.raises(InvalidTemplateConfig, match=field) as refused:
        TEMPLATE.parse({**SMALLEST, **change})

    assert 400 > len(refused.value.message)
    assert "canary" not in refused.value.message


@pytest.mark.parametrize(
    ("given", "expected"), [(True, "true"), ("true", "true"), (False, None), ("false", None), ("", None)]
)
def test_a_flag_is_a_boolean_or_its_name(given, expected):
    values = {**SMALLEST, "allow_other_scopes": given}

    assert expected == to_values(TEMPLATE.parse(values)).get("allow_other_scopes")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, LARGEST),
        ({"audience": "third"}, {**LARGEST, "audience": "third"}),
        ({"audience": None}, {name: value for name, value in LARGEST.items() if name != "audience"}),
        ({"ppm_url": "https://b.example/x"}, {**LARGEST, "ppm_url": "https://b.example/x"}),
        ({"scopes": "repos:read:*", "allow_other_scopes": "false"}, None),
    ],
    ids=["nothing", "one field", "null removes", "url", "two fields"],
)
def test_a_change_keeps_every_field_that_it_does_not_name(changes, expected):
    if expected is None:
        expected = {name: value for name, value in {**LARGEST, **changes}.items() if name != "allow_other_scopes"}

    assert expected == to_values(TEMPLATE.merge(TEMPLATE.parse(LARGEST), changes))


@pytest.mark.parametrize("changes", [{"ppm_url": None}, {"scopes": None}, {"allow_other_scopes": None}, {"other": "x"}])
def test_a_change_that_leaves_something_invalid_is_refused(changes):
    with pytest.raises(InvalidTemplateConfig):
        TEMPLATE.merge(TEMPLATE.parse(LARGEST), changes)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://packages.example.com", "allow_cleartext"),
        ("https://localhost", "allow_loopback"),
        ("https://localhost:4242/rspm", "allow_loopback"),
        ("https://127.0.0.1", "allow_loopback"),
        ("https://127.255.255.254", "allow_loopback"),
        ("https://169.254.169.254", "no Package Manager"),
        ("https://0.0.0.0", "no Package Manager"),
        ("https://224.0.0.1", "no Package Manager"),
        ("https://255.255.255.255", "no Package Manager"),
    ],
)
def test_an_address_that_must_not_see_an_assertion_is_refused_and_the_setting_named(url, words):
    """
    Whoever may create integrations chooses where assertions are posted (T14).
    """
    with pytest.raises(InvalidTemplateConfig, match=words):
        TEMPLATE.parse({**SMALLEST, "ppm_url": url})


@pytest.mark.parametrize("url", ["http://packages.example.com", "http://localhost:4242", "http://127.0.0.2:1"])
def test_the_operator_may_allow_clear_text_and_loopback(url):
    template = Template(LENIENT, frozenset({"RS256"}))

    assert url == to_values(template.parse({**SMALLEST, "ppm_url": url}))["ppm_url"]


@pytest.mark.parametrize("url", ["http://169.254.169.254", "http://0.0.0.0", "http://240.0.0.1"])
def test_no_setting_allows_an_address_that_is_never_right(url):
    """
    (T14)
    """
    with pytest.raises(InvalidTemplateConfig, match="no Package Manager"):
        Template(LENIENT, frozenset()).parse({**SMALLEST, "ppm_url": url})


@pytest.mark.parametrize("url", ["https://10.0.0.5", "https://192.168.1.1", "https://packages.company.internal"])
def test_private_networks_are_where_package_managers_live(url):
    STRICT.check(config(url=url).ppm_url)


# --- the template as clients see it ---------------------------------------------------------------------------------
SHOWN = TEMPLATE.describe(DEFAULTS)
FIELD = {field["name"]: field for field in SHOWN["fields"]}


def test_the_template_has_the_members_of_the_vendors_object():
    assert ["description", "fields", "id", "name", "options", "sections"] == sorted(SHOWN)
    for field in SHOWN["fields"]:
        assert [
            *("default", "description", "label", "multiline", "name", "order", "secret", "validation"),
            "validation_description",
        ] == sorted(field)
    for option in SHOWN["options"]:
        assert ["default", "description", "label", "name", "order", "type", "values"] == sorted(option)
    assert "ppm" == SHOWN["id"]


def test_what_is_shown_is_what_is_read():
    entries = SHOWN["fields"] + SHOWN["options"]

    assert list(FIELDS) == [entry["name"] for entry in entries]
    assert list(range(1, 7)) == [entry["order"] for entry in entries]
    assert ("select", ["ES256", "RS256"], "RS256") == tuple(
        SHOWN["options"][0][n] for n in ("type", "values", "default")
    )
    assert ("bool", False) == (SHOWN["options"][1]["type"], SHOWN["options"][1]["default"])


def test_a_form_that_is_sent_with_its_defaults_is_right():
    filled = {entry["name"]: entry["default"] for entry in SHOWN["fields"] + SHOWN["options"]}

    given = TEMPLATE.parse({**filled, "ppm_url": "https://packages.example.com"})

    assert DEFAULTS == Defaults(given.audience, given.subject, given.algorithm)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("ppm_url", "https://packages.example.com"),
        ("ppm_url", "HTTPS://A.Example:8443/rspm/x.y~z_-/"),
        ("ppm_url", "http://127.0.0.1:80"),
        ("scopes", "repos:read:cran"),
        ("scopes", "repos:read:*\n sources:write:a,b\tglobal:admin"),
        ("audience", "package-manager"),
        ("subject", "\u00e9 with blanks"),
    ],
)
def test_what_a_form_lets_pass_may_be_right(field, text):
    values = {**SMALLEST, "allow_other_scopes": "true", field: text}

    assert re.search(FIELD[field]["validation"], text)
    assert Template(LENIENT, frozenset({"RS256"})).parse(values)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("ppm_url", ""),
        ("ppm_url", "packages.example.com"),
        ("ppm_url", "https://"),
        ("ppm_url", "https://u:p@a.example"),
        ("ppm_url", "https://a.example/?x"),
        ("ppm_url", "https://a.example/#x"),
        ("ppm_url", "https://a.example//x"),
        ("ppm_url", "ftp://a.example"),
        ("ppm_url", "https://[::1]"),
        ("scopes", ""),
        ("scopes", "cran"),
        ("scopes", "repos:read"),
        ("scopes", "repos:read:"),
        ("scopes", "repos:read:a,,b"),
        ("scopes", "repos:write:a"),
        ("scopes", "repos:read:a;repos:read:b"),
        ("audience", ""),
        ("audience", "a\nb"),
        ("subject", "x" * 256),
    ],
)
def test_what_a_form_stops_is_wrong(field, text):
    assert None is re.search(FIELD[field]["validation"], text)
    with pytest.raises(InvalidTemplateConfig, match=field):
        TEMPLATE.parse({**SMALLEST, field: text})


@given(scopes=scope_sets.filter(bool), some=integrations(201))
def test_whatever_is_read_would_have_passed_the_form(scopes, some):
    config = some.config
    values = {**to_values(config), "scopes": str(scopes), "allow_other_scopes": "true"}

    assert Template(LENIENT, frozenset({"RS256", "ES256"})).parse(values)
    for name, field in FIELD.items():
        assert name not in values or re.search(field["validation"], values[name])


def test_the_table_has_the_last_word():
    """
    A change of a reader alone cannot let pass what forms stop.
    """
    with pytest.raises(InvalidTemplateConfig, match=r"config\.audience must be 1 to 255 printable characters"):
        next(text for text in TEXTS if text.name == "audience").check("a\x7fb")
