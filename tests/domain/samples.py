"""
Small valid things to start a test from, and hypothesis strategies for them.
"""

from hypothesis import strategies as st

from broker.domain.access import Granted
from broker.domain.content import Content
from broker.domain.identity import ApiKey, Group, Owner, Role, User
from broker.domain.integrations import (
    Access,
    AccessList,
    Draft,
    Integration,
    Kind,
    PackageManagerConfig,
    Permission,
    Principal,
)
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.plan import Defaults
from broker.domain.policy import Policy
from broker.domain.scopes import WITH_LIST, WITHOUT_LIST, ScopeSet
from tests.fakes.clock import NOON
from tests.fakes.ids import CountingIds

DEFAULTS = Defaults("package-manager", "connect", "RS256")
EVERYONE = AccessList(Access.EVERYONE)
NOBODY = AccessList(Access.RESTRICTED)

guid = CountingIds.nth_guid


def user(number=1, username="alice", role=Role.PUBLISHER, **fields):
    return User(guid(number), username, role, NOON, NOON, **fields)


def group(number=101, name="analysts"):
    return Group(guid(number), name, None)


def owner(person=None, *groups):
    return Owner(person or user(), frozenset(groups))


def key(person, sha256="a" * 64, role=None, **fields):
    return ApiKey("1", person.guid, "a key", sha256, role, NOON, **fields)


def admits(*principals):
    return AccessList(Access.RESTRICTED, principals)


def the_user(person):
    return Principal(Kind.USER, person.guid)


def the_group(number_or_group=101):
    return Principal(Kind.GROUP, guid(number_or_group) if isinstance(number_or_group, int) else number_or_group.guid)


def config(url="https://packages.example.com", scopes="repos:read:*", **fields):
    return PackageManagerConfig(PackageManagerUrl.parse(url), ScopeSet.parse(scopes), **fields)


def integration(number=201, name="Packages", access=EVERYONE, **fields):
    draft = Draft(name, "", config(**fields), access)
    entries = tuple(Permission(str(n), guid(900 + n), p) for n, p in enumerate(access.principals, 1))
    return Integration(str(number), guid(number), NOON, NOON, draft, entries)


def granted(some, scopes=None):
    return Granted(some, some.config.scopes if scopes is None else ScopeSet.parse(scopes), None)


def content(number=77, owner=None, name="report"):
    return Content(guid(number), name, (owner or user()).guid, NOON)


def policy(*integrations, users=(), memberships=(), keys=(), contents=(), version=1):
    return Policy.of(
        version, users=users, memberships=memberships, keys=keys, integrations=integrations, contents=contents
    )


# --- strategies: few names, so that sets meet often ------------------------------------------------------------------
names = st.sampled_from(["cran", "pypi", "Internal", "bioc-3.20", "0"])
name_sets = st.one_of(st.just(frozenset({"*"})), st.frozensets(names, min_size=1))


def _scope(action, listed):
    return f"{action}:{','.join(sorted(listed))}"


scopes = st.one_of(
    st.sampled_from(sorted(WITHOUT_LIST)),
    st.builds(_scope, st.sampled_from(sorted(WITH_LIST)), name_sets),
)
scope_sets = st.lists(scopes, max_size=6).map(lambda some: ScopeSet.parse(" ".join(some)))
read_sets = name_sets.map(lambda listed: ScopeSet.parse(_scope("repos:read", listed)))


@st.composite
def integrations(draw, number):
    """
    Neighbours often: three hosts, and now and then another port, path, audience, subject or algorithm.
    """
    host = draw(st.sampled_from(["a.example", "b.example", "127.0.0.1"]))
    place = draw(st.sampled_from(["", "", "", ":8443", "/rspm"]))
    return integration(
        number,
        name=f"Integration {number}",
        url=f"https://{host}{place}",
        scopes=str(draw(read_sets)),
        audience=draw(st.sampled_from([None, None, None, "package-manager", "other"])),
        subject=draw(st.sampled_from([None, None, None, "connect", "other"])),
        algorithm=draw(st.sampled_from([None, None, None, "RS256", "ES256"])),
    )


@st.composite
def grants(draw):
    """
    What several integrations granted, each all of its scopes or a part.
    """
    some = [draw(integrations(201 + n)) for n in range(draw(st.integers(0, 6)))]
    parts = [each.config.scopes.intersection(draw(read_sets)) for each in some]
    return [Granted(each, part or each.config.scopes, None) for each, part in zip(some, parts, strict=True)]
