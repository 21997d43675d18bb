"""
The scope algebra of Package Manager: parse, union, intersection, covers.

A scope is an action and, for some actions, a list of repositories or sources (CONTRACT.md 1, from the vendor's
documentation): `repos:read:cran,pypi`, `repos:read:*`, `global:admin`. A setting may hold several, separated by white
space. Scopes form a lattice: `*` absorbs every name, and an action that is absent grants nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Self

from broker.errors import InvalidScope

READ = "repos:read"
"""The action that a build needs, and the only one that an integration carries unless its admin says otherwise."""

WITH_LIST = frozenset({READ, "sources:write"})
WITHOUT_LIST = frozenset({"global:admin", "metadata:admin", "blocklist:admin", "blocklist:read"})

ALL = frozenset({"*"})
"""Every name. The only set that holds `*`, so that equal grants are equal values."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_TEXT = 8192


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """
    What may be done, as a mapping from action to names.

    Actions without a list map to the empty set. Two sets are equal when they grant the same.
    """

    _granted: Mapping[str, frozenset[str]]
    _rendered: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rendered = tuple(
            f"{action}:{','.join(sorted(names))}" if action in WITH_LIST else action
            for action, names in sorted(self._granted.items())
        )
        object.__setattr__(self, "_rendered", rendered)

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text: str) -> Self:
        """
        Read scopes separated by white space; commas separate the names inside one scope.

        Raises InvalidScope, naming the scope that does not parse.
        """
        if len(text) > _MAX_TEXT:
            raise InvalidScope(f"the scopes have {len(text)} characters; at most {_MAX_TEXT} are read")
        return cls.of(text.split())

    @classmethod
    def of(cls, scopes: Iterable[str]) -> Self:
        """
        Read scopes that are separate already, as in a `roles` claim; a union may be longer than any one setting.

        Raises InvalidScope, naming the scope that does not parse.
        """
        granted: dict[str, frozenset[str]] = {}
        for scope in scopes:
            action, names = _parse_one(scope)
            granted[action] = _join(granted.get(action, frozenset()), names)
        return cls(MappingProxyType(granted))

    @classmethod
    def nothing(cls) -> Self:
        """Return the set that grants nothing: the neutral element of union."""
        return cls(MappingProxyType({}))

    @classmethod
    def read(cls, repositories: Iterable[str]) -> Self:
        """Return the scopes to read just these repositories. Raises InvalidScope for a name that is none."""
        names = frozenset(repositories)
        return cls(MappingProxyType({READ: _checked(names)})) if names else cls.nothing()

    def union(self, other: Self) -> Self:
        """Return what either of the two grants."""
        actions = [*self._granted, *(action for action in other._granted if action not in self._granted)]
        return type(self)(MappingProxyType({action: _join(self._of(action), other._of(action)) for action in actions}))

    def intersection(self, other: Self) -> Self:
        """Return what both of the two grant."""
        both = {
            action: _meet(names, other._granted[action])
            for action, names in self._granted.items()
            if action in other._granted
        }
        return type(self)(
            MappingProxyType({action: names for action, names in both.items() if names or action in WITHOUT_LIST})
        )

    def covers(self, other: Self) -> bool:
        """Whether everything that `other` grants is granted here: `repos:read:*` covers `repos:read:cran`."""
        return all(
            action in self._granted and (self._granted[action] == ALL or names <= self._granted[action])
            for action, names in other._granted.items()
        )

    def only_read(self) -> Self:
        """Return the part that a build may use without its admin having allowed more."""
        return type(self)(
            MappingProxyType({action: names for action, names in self._granted.items() if action == READ})
        )

    def render(self) -> tuple[str, ...]:
        """Return one canonical string for each action, sorted: equal sets render equally."""
        return self._rendered

    def __str__(self) -> str:
        return " ".join(self.render())

    def __bool__(self) -> bool:
        return bool(self._granted)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScopeSet) and self._rendered == other._rendered

    def __hash__(self) -> int:
        return hash(self._rendered)

    def _of(self, action: str) -> frozenset[str]:
        return self._granted.get(action, frozenset())


def _parse_one(scope: str) -> tuple[str, frozenset[str]]:
    if scope in WITHOUT_LIST:
        return scope, frozenset()
    action, _, listed = scope.rpartition(":")
    if action not in WITH_LIST:
        raise InvalidScope(
            f"{scope[:80]!r} is not a Package Manager scope; a build needs repos:read:<names> or repos:read:*"
        )
    return action, _checked(frozenset(listed.split(",")), f" in {scope[:80]!r}")


def _checked(names: frozenset[str], where: str = "") -> frozenset[str]:
    wrong = sorted(name for name in names if not _NAME.fullmatch(name))
    if wrong and names != ALL:
        raise InvalidScope(f"{wrong[0][:80]!r}{where} is not a repository name (or a single *)")
    return names


def _join(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return ALL if ALL in (one, other) else one | other


def _meet(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if one == ALL:
        return other
    return one if other == ALL else one & other
