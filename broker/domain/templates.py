"""
The `ppm` template: the `config` object of the API, and how it becomes a checked value and back.

One table says which settings there are; reading a `config`, showing the template to a client that draws a form of it,
and the documentation (tests/project) all go by it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from broker.domain.integrations import MAX_NAME, TEMPLATE, PackageManagerConfig
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.plan import Defaults
from broker.domain.scopes import READ, WITH_LIST, WITHOUT_LIST, ScopeSet
from broker.errors import InvalidScope, InvalidTemplateConfig

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_NAMES = r"(\*|[A-Za-z0-9][A-Za-z0-9._-]*)"
_SCOPE = rf"(({'|'.join(sorted(WITH_LIST))}):{_NAMES}(,{_NAMES})*|{'|'.join(sorted(WITHOUT_LIST))})"


@dataclass(frozen=True, slots=True)
class TextSetting:
    """
    A member of `config` that is typed in; `validation` is a regular expression in the part that Python and JavaScript
    share.

    What it refuses is refused; what it lets pass is still looked at closely (`Template.parse`).
    """

    name: str
    label: str
    description: str
    validation: str
    validation_description: str
    required: bool = False
    multiline: bool = False

    def check(self, text: str) -> None:
        """Raise InvalidTemplateConfig for what a form made of this would not have let pass."""
        if not re.search(self.validation, text):
            raise InvalidTemplateConfig(f"config.{self.name} must be {self.validation_description}")


@dataclass(frozen=True, slots=True)
class Choice:
    """A member of `config` that is chosen: one of the signing algorithms, or yes and no."""

    name: str
    label: str
    description: str


_PPM_URL = TextSetting(
    "ppm_url",
    "Package Manager URL",
    "The address of the Package Manager, as users put it before the repository name. Assertions are posted there.",
    rf"^[Hh][Tt][Tt][Pp][Ss]?://{_HOST}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~-]+)*/?$",
    "https://host[:port][/path] without user, query and fragment",
    required=True,
)
_SCOPES = TextSetting(
    "scopes",
    "Scopes",
    f"What builds may do there, such as {READ}:cran,pypi or {READ}:*; several are separated by blanks.",
    rf"^{_SCOPE}(\s+{_SCOPE})*$",
    f"Package Manager scopes separated by blanks, such as {READ}:cran,pypi",
    required=True,
    multiline=True,
)
_PRINTABLE = rf"^[^\x00-\x1f\x7f]{{1,{MAX_NAME}}}$"
_AUDIENCE = TextSetting(
    "audience",
    "Audience",
    "Audience of this Package Manager's [IdentityFederation] section, where it is not the broker's setting.",
    _PRINTABLE,
    f"1 to {MAX_NAME} printable characters",
)
_SUBJECT = TextSetting(
    "subject",
    "Subject",
    "Subject of this Package Manager's [IdentityFederation] section, where it is not the broker's setting.",
    _PRINTABLE,
    f"1 to {MAX_NAME} printable characters",
)
_ALGORITHM = Choice(
    "signing_algorithm",
    "Signing algorithm",
    "How assertions for this Package Manager are signed, where it is not the broker's first algorithm.",
)
_OTHER_SCOPES = Choice(
    "allow_other_scopes", "Allow other scopes", f"Permit scopes beyond {READ}. Builds do not need them."
)

TEXTS = (_PPM_URL, _SCOPES, _AUDIENCE, _SUBJECT)
CHOICES = (_ALGORITHM, _OTHER_SCOPES)
FIELDS = tuple(setting.name for setting in (*TEXTS, *CHOICES))


@dataclass(frozen=True, slots=True)
class OutboundRules:
    """
    Which Package Managers the operator allows (settings of the same names).

    An assertion is posted to whatever address an administrator typed in, so the operator of the machine has the last
    word: by default neither clear text nor this machine's own loopback, where services trust their neighbours.
    """

    allow_cleartext: bool
    allow_loopback: bool

    def check(self, url: PackageManagerUrl) -> None:
        """Raise InvalidTemplateConfig for an address that is not allowed; the connection is checked again when made."""
        if url.is_cleartext and not self.allow_cleartext:
            raise InvalidTemplateConfig(
                "config.ppm_url must start with https://: assertions and tokens would cross the network in clear text; "
                "the broker's setting allow_cleartext permits it"
            )
        address = url.literal_address
        loopback = url.host == "localhost" or (address is not None and address.is_loopback)
        if loopback and not self.allow_loopback:
            raise InvalidTemplateConfig(
                "config.ppm_url is this machine's loopback; the broker's setting allow_loopback permits it"
            )
        if address is not None and _is_never_right(address):
            raise InvalidTemplateConfig("config.ppm_url is an address that no Package Manager can have")


@dataclass(frozen=True, slots=True)
class Template:
    """The template with what the operator allows and which algorithms there are keys for."""

    outbound: OutboundRules
    algorithms: frozenset[str]

    def parse(self, values: Mapping[str, object]) -> PackageManagerConfig:
        """
        Read a `config` object; null counts as absent.

        Raises InvalidTemplateConfig, naming the field.
        """
        given = {name: value for name, value in values.items() if value is not None}
        for name in given.keys() - set(FIELDS):
            raise InvalidTemplateConfig(f"config.{name[:80]} is unknown; the ppm template has {', '.join(FIELDS)}")
        for setting in TEXTS:
            if setting.required and not given.get(setting.name):
                raise InvalidTemplateConfig(f"config.{setting.name} is required")
        config = self._read(given)
        # Last, because what was read already says better what is wrong.
        for setting in TEXTS:
            if setting.name in given:
                setting.check(_text(given, setting.name))
        return config

    def describe(self, defaults: Defaults) -> dict[str, object]:
        """Return the template as the API shows it, so that a client can draw a form (vendor API, `OAuthTemplate`)."""
        values = {"scopes": f"{READ}:*", "audience": defaults.audience, "subject": defaults.subject}
        fields = [
            {**_head(text, order), "default": values.get(text.name, ""), "validation": text.validation,
             "validation_description": text.validation_description, "secret": False, "multiline": text.multiline}
            for order, text in enumerate(TEXTS, 1)
        ]  # fmt: skip
        after = len(fields)
        return {
            "id": TEMPLATE,
            "name": "Posit Package Manager",
            "description": "Short-lived repository tokens for the builds of those who may use the integration. "
            "It applies to every build; no content needs to be associated with it.",
            "sections": [],
            "options": [
                {**_head(_ALGORITHM, after + 1), "type": "select", "values": sorted(self.algorithms),
                 "default": defaults.algorithm},
                {**_head(_OTHER_SCOPES, after + 2), "type": "bool", "values": [], "default": False},
            ],
            "fields": fields,
        }  # fmt: skip

    def _read(self, given: Mapping[str, object]) -> PackageManagerConfig:
        url = PackageManagerUrl.parse(_text(given, "ppm_url"))
        self.outbound.check(url)
        return PackageManagerConfig(
            url,
            _scopes(_text(given, "scopes")),
            audience=_optional(given, "audience"),
            subject=_optional(given, "subject"),
            algorithm=self._algorithm(given),
            allow_other_scopes=_flag(given, "allow_other_scopes"),
        )

    def merge(self, before: PackageManagerConfig, changes: Mapping[str, object]) -> PackageManagerConfig:
        """Change single fields of a config; null removes an optional one. Raises as `parse`."""
        return self.parse({**to_values(before), **changes})

    def _algorithm(self, given: Mapping[str, object]) -> str | None:
        algorithm = _optional(given, "signing_algorithm")
        if algorithm is not None and algorithm not in self.algorithms:
            have = ", ".join(sorted(self.algorithms))
            raise InvalidTemplateConfig(
                f"config.signing_algorithm: there is no {algorithm[:20]} key (there is {have}); "
                "the broker's setting signing_algorithms adds one"
            )
        return algorithm


def _head(setting: TextSetting | Choice, order: int) -> dict[str, object]:
    return {
        "name": setting.name,
        "description": setting.description,
        "order": order,
        "label": setting.label,
    }


def to_values(config: PackageManagerConfig) -> dict[str, str]:
    """Return the `config` object as the API shows it: text only, and nothing that was not set."""
    optional = {
        "audience": config.audience,
        "subject": config.subject,
        "signing_algorithm": config.algorithm,
        "allow_other_scopes": "true" if config.allow_other_scopes else None,
    }
    return {
        "ppm_url": str(config.ppm_url),
        "scopes": str(config.scopes),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _text(given: Mapping[str, object], name: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        raise InvalidTemplateConfig(f"config.{name} must be text")
    return value.strip()


def _optional(given: Mapping[str, object], name: str) -> str | None:
    return _text(given, name) if name in given else None


def _flag(given: Mapping[str, object], name: str) -> bool:
    value = given.get(name, False)
    if value in (True, "true"):
        return True
    if value in (False, "false", ""):
        return False
    raise InvalidTemplateConfig(f'config.{name} must be "true" or "false"')


def _scopes(text: str) -> ScopeSet:
    try:
        return ScopeSet.parse(text)
    except InvalidScope as fault:
        raise InvalidTemplateConfig(f"config.scopes: {fault.message}") from None


def _is_never_right(address: IPv4Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
