"""
The `ppm` template: the `config` object of the API, and how it becomes a checked value and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from broker.domain.integrations import PackageManagerConfig
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.scopes import ScopeSet
from broker.errors import InvalidScope, InvalidTemplateConfig

FIELDS = ("ppm_url", "scopes", "audience", "subject", "signing_algorithm", "allow_other_scopes")
_REQUIRED = ("ppm_url", "scopes")


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
        for name in _REQUIRED:
            if not given.get(name):
                raise InvalidTemplateConfig(f"config.{name} is required")
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
