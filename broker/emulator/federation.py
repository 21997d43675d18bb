"""
Where an assertion is believed or refused: the only way from `UnverifiedToken` to `VerifiedClaims`.

Every refusal says what was expected and what came, since the reader is an administrator with two systems to match.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jws import JWSRegistry, deserialize_compact

from broker.emulator.assertion import UnverifiedToken
from broker.emulator.issuer_keys import Clock, IssuerKeys
from broker.emulator.key_set import PublishedKey
from broker.emulator.printable import differs, shown
from broker.emulator.refusals import ExchangeRefused, IssuerUnavailable
from broker.emulator.settings import IdentityFederation

LEEWAY = 30
"""Seconds by which two clocks may differ."""

MAX_NAME = 256
"""Longest user name that a claim may give, in characters."""

_MAX_HEADER = 4096
_LATEST = 10**15
"""No time: beyond it integers stop fitting into floats. Also what NaN and infinity are not below."""


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """
    What a trusted issuer vouches for. `user` is the value of UsernameClaim, or the subject where there is none.

    `unique_id` is the value of UniqueIdClaim, `expires` in seconds since 1970.
    """

    federation: IdentityFederation
    user: str
    unique_id: str | None
    jti: str | None
    expires: float
    claims: Mapping[str, object]


class Federations:
    """The trusted issuers with their keys."""

    def __init__(
        self,
        federations: Sequence[IdentityFederation],
        keys: Callable[[str], IssuerKeys],
        clock: Clock,
        max_life: int,
    ) -> None:
        self._trusted = {one.issuer: (one, keys(one.issuer)) for one in federations}
        self._clock = clock
        self._max_life = max_life

    async def verify(self, token: UnverifiedToken) -> VerifiedClaims:
        """Return what may be believed; raises ExchangeRefused."""
        federation, keys = self._find(token.claims.get("iss"))
        _check_signature(token, await _key(token, keys))
        _check_party(token.claims, federation)
        self._check_times(token.claims)
        return _verified(token.claims, federation)

    def _find(self, issuer: object) -> tuple[IdentityFederation, IssuerKeys]:
        if isinstance(issuer, str) and issuer in self._trusted:
            return self._trusted[issuer]
        trusted = list(self._trusted)
        expected = trusted[0] if len(trusted) == 1 else trusted
        raise ExchangeRefused(differs("issuer (compared byte for byte)", expected, issuer))

    def _check_times(self, claims: Mapping[str, object]) -> None:
        now = self._clock()
        expires, issued = _instant(claims, "exp"), _instant(claims, "iat")
        starts = _instant(claims, "nbf") if "nbf" in claims else issued
        if now >= expires + LEEWAY:
            raise ExchangeRefused(f"exp: the assertion expired {now - expires:.0f} s ago by this server's clock")
        for name, instant in (("iat", issued), ("nbf", starts)):
            if instant > now + LEEWAY:
                raise ExchangeRefused(f"{name}: lies {instant - now:.0f} s in the future of this server's clock")
        if not 0 < expires - issued <= self._max_life:
            raise ExchangeRefused(differs("exp - iat in seconds", f"1 to {self._max_life}", expires - issued))


async def _key(token: UnverifiedToken, keys: IssuerKeys) -> PublishedKey:
    kid = str(token.header["kid"])
    try:
        key = await keys.find(kid)
    except IssuerUnavailable as fault:
        raise ExchangeRefused(f"no keys to verify with: {fault}", error="temporarily_unavailable", status=503) from None
    if key is None:
        raise ExchangeRefused(f"kid: {keys.issuer} publishes no usable key {shown(kid)}")
    return key


class _Pinned(JWSRegistry):
    """Admits the algorithms of one key and takes `EdDSA` for the Ed25519 that such a key means."""

    max_header_length = _MAX_HEADER

    def get_alg(self, name: str) -> JWSAlgModel:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


def _check_signature(token: UnverifiedToken, key: PublishedKey) -> None:
    algorithm = token.header["alg"]
    if algorithm not in key.algorithms:
        raise ExchangeRefused(differs(f"alg for the key {shown(key.kid)}", sorted(key.algorithms), algorithm))
    try:
        registry = _Pinned(algorithms=list(key.algorithms), strict_check_header=False)
        deserialize_compact(token.text.reveal(), key.key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise ExchangeRefused(f"the signature is not by the key {shown(key.kid)}") from None


def _check_party(claims: Mapping[str, object], federation: IdentityFederation) -> None:
    audience = claims.get("aud")
    # A list is fine as long as nobody else is meant: whoever else is would be able to use the assertion here.
    if audience not in (federation.audience, [federation.audience]):
        raise ExchangeRefused(differs("audience", federation.audience, audience))
    if claims.get("sub") != federation.subject:
        raise ExchangeRefused(differs("subject", federation.subject, claims.get("sub")))
    if federation.authorized_party is not None and claims.get("azp") != federation.authorized_party:
        raise ExchangeRefused(differs("azp", federation.authorized_party, claims.get("azp")))


def _instant(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        raise ExchangeRefused(differs(name, "seconds since 1970 as a number", value))
    return float(value)


def _verified(claims: Mapping[str, object], federation: IdentityFederation) -> VerifiedClaims:
    for name in ("azp", "jti"):
        if name in claims:
            _text(claims, name)
    user = _named(claims, federation.username_claim)
    return VerifiedClaims(
        federation=federation,
        user=federation.subject if user is None else user,
        unique_id=_named(claims, federation.unique_id_claim),
        jti=_text(claims, "jti") if "jti" in claims else None,
        expires=_instant(claims, "exp"),
        claims=claims,
    )


def _named(claims: Mapping[str, object], name: str | None) -> str | None:
    return None if name is None or name not in claims else _text(claims, name)


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise ExchangeRefused(differs(name, f"1 to {MAX_NAME} printable characters", value))
    return value
