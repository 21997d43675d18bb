"""
The scope algebra: what parses, and the laws of a lattice.
"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.scopes import WITHOUT_LIST, ScopeSet
from broker.errors import InvalidScope
from tests.domain.samples import names, scope_sets

NOTHING = ScopeSet.nothing()
EVERYTHING = ScopeSet.of(["repos:read:*", "sources:write:*", *WITHOUT_LIST])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repos:read:*", ("repos:read:*",)),
        ("repos:read:cran", ("repos:read:cran",)),
        ("repos:read:pypi,cran", ("repos:read:cran,pypi",)),
        ("repos:read:cran,cran", ("repos:read:cran",)),
        ("repos:read:a.b-c_d", ("repos:read:a.b-c_d",)),
        ("repos:read:" + "a" * 128, ("repos:read:" + "a" * 128,)),
        ("global:admin", ("global:admin",)),
        # several in one setting, separated by any white space
        ("repos:read:a repos:read:b", ("repos:read:a,b",)),
        ("repos:read:a\nrepos:read:b", ("repos:read:a,b",)),
        ("  repos:read:a \r\n\t metadata:admin\n", ("metadata:admin", "repos:read:a")),
        ("sources:write:x repos:read:y", ("repos:read:y", "sources:write:x")),
        # everything absorbs
        ("repos:read:a repos:read:*", ("repos:read:*",)),
        ("repos:read:* repos:read:a", ("repos:read:*",)),
        # nothing
        ("", ()),
        (" \n ", ()),
    ],
)
def test_a_scope_has_one_canonical_form(text, expected):
    assert expected == ScopeSet.parse(text).render()


@pytest.mark.parametrize(
    "text",
    [
        # no list, or an empty place in it
        "repos:read",
        "repos:read:",
        "repos:read:a,",
        "repos:read:,a",
        "repos:read:a,,b",
        # a star is everything, alone
        "repos:read:*,a",
        "repos:read:a,*",
        "repos:read:**",
        "repos:read:cran*",
        # not an action
        "repos",
        "*",
        ":",
        "::",
        "repos:write:a",
        "repos::read:a",
        "Repos:Read:a",
        "REPOS:READ:*",
        "global:admin:*",
        "global:admin:",
        "blocklist:read:x",
        "repos:read:a:b",
        # not a name
        "repos:read:-a",
        "repos:read:.",
        "repos:read:a/b",
        "repos:read:a;b",
        'repos:read:"a"',
        "repos:read:a\x00",
        "repos:read:" + "a" * 129,
        # characters that only look like letters and digits
        "repos:read:\u0661\u0662",
        "repos:read:\uff43ran",
        "repos:read:cr\u0430n",
        "repos:read:caf\u00e9",
        "repos\uff1aread:a",
        "repos:read:a\u200bb",
        # one wrong scope among good ones
        "repos:read:a nonsense repos:read:b",
        "repos:read: a",
    ],
)
def test_what_is_not_a_scope_is_refused(text):
    with pytest.raises(InvalidScope):
        ScopeSet.parse(text)


def test_the_message_names_the_scope_and_does_not_repeat_all_of_a_long_one():
    with pytest.raises(InvalidScope) as refused:
        ScopeSet.parse("repos:read:ok repos:write:" + "x" * 5000)

    assert "repos:write:xxx" in refused.value.message
    assert 300 > len(refused.value.message)


@pytest.mark.parametrize(
    "text",
    ["repos:read:a " * 800_000, "x" * 10_000_000, "," * 10_000_000, " " * 10_000_000],
    ids=["scopes", "letters", "commas", "spaces"],
)
def test_a_text_of_ten_megabytes_is_refused_before_it_is_looked_at(text):
    started = time.perf_counter()
    with pytest.raises(InvalidScope, match="characters"):
        ScopeSet.parse(text)

    assert 0.5 > time.perf_counter() - started


@pytest.mark.parametrize("names", [["a global:admin"], ["a,b"], ["a", ""], ["*", "a"], ["a\n"], ["repos:read:a"]])
def test_the_repositories_of_a_build_are_names_and_nothing_else(names):
    """
    A caller writes them; one that smuggled in another scope would ask for what it never named.
    """
    with pytest.raises(InvalidScope):
        ScopeSet.read(names)


def test_two_hundred_long_repository_names_are_read():
    repositories = [f"{n:03}{'x' * 125}" for n in range(200)]

    assert f"repos:read:{','.join(repositories)}" == str(ScopeSet.read(repositories))


def test_reading_no_repository_is_nothing():
    assert NOTHING == ScopeSet.read([])


def test_scopes_of_a_union_are_read_back_however_many_there_are():
    one = ScopeSet.parse("repos:read:" + ",".join(f"a{n:04}" for n in range(1000)))
    other = ScopeSet.parse("repos:read:" + ",".join(f"b{n:04}" for n in range(1000)))

    assert one.union(other) == ScopeSet.of(one.union(other).render())


@given(scope_sets)
def test_what_is_rendered_is_read_back_as_the_same(some):
    assert some == ScopeSet.parse(str(some))
    assert str(some) == str(ScopeSet.parse(str(some)))


@given(scope_sets, scope_sets)
def test_sets_are_equal_exactly_when_they_render_equally(one, other):
    assert (one == other) == (one.render() == other.render())
    assert one != other or hash(one) == hash(other)


@given(scope_sets, scope_sets, scope_sets)
def test_union_and_intersection_are_those_of_a_lattice(a, b, c):
    assert a.union(b) == b.union(a)
    assert a.intersection(b) == b.intersection(a)
    assert a.union(b).union(c) == a.union(b.union(c))
    assert a.intersection(b).intersection(c) == a.intersection(b.intersection(c))
    assert a == a.union(a) == a.intersection(a)
    assert a == a.union(a.intersection(b)) == a.intersection(a.union(b))


@given(scope_sets, scope_sets, scope_sets)
def test_each_distributes_over_the_other(a, b, c):
    assert a.intersection(b.union(c)) == a.intersection(b).union(a.intersection(c))
    assert a.union(b.intersection(c)) == a.union(b).intersection(a.union(c))


@given(scope_sets)
def test_nothing_and_everything_are_the_ends(a):
    assert a == a.union(NOTHING) == a.intersection(EVERYTHING)
    assert NOTHING == a.intersection(NOTHING)
    assert EVERYTHING == a.union(EVERYTHING)


@given(scope_sets, scope_sets, scope_sets)
def test_covers_is_a_partial_order(a, b, c):
    assert a.covers(a)
    assert a == b or not (a.covers(b) and b.covers(a))
    assert a.covers(c) or not (a.covers(b) and b.covers(c))


@given(scope_sets, scope_sets)
def test_covers_agrees_with_union_and_intersection(a, b):
    assert a.covers(b) == (a.union(b) == a) == (a.intersection(b) == b)
    assert a.union(b).covers(a)
    assert a.covers(a.intersection(b))


@given(scope_sets)
def test_only_read_is_covered_and_reads_only(a):
    assert a.covers(a.only_read())
    assert all(scope.startswith("repos:read:") for scope in a.only_read().render())
    assert bool(a) == (a != NOTHING)


@given(st.frozensets(names, min_size=1))
def test_a_star_covers_every_name_and_no_names_cover_a_star(listed):
    everything, some = ScopeSet.parse("repos:read:*"), ScopeSet.read(listed)

    assert everything.covers(some)
    assert not some.covers(everything)


def test_a_set_is_not_equal_to_its_text():
    assert ScopeSet.parse("repos:read:a") != "repos:read:a"
