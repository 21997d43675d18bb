import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.hosts import Host
from broker.domain.repositories import (
    AIMS,
    Aim,
    Kind,
    Mode,
    PackageManagerStatus,
    RepositoryUrl,
    Rewrite,
    rewrite,
    settle,
    shown,
)
from broker.errors import InvalidParameter

PPM = "https://packages.company.internal"
X86 = "x86_64"
JAMMY = Host("jammy", X86, "Ubuntu 22.04.5 LTS")
NOBLE_ARM = Host("noble", "arm64", "Ubuntu 24.04.1 LTS")
JAMMY_ARM = Host("jammy", "arm64", "Ubuntu 22.04.5 LTS")
ALPINE = Host(None, X86, "Alpine Linux v3.22")
SERVED = PackageManagerStatus(
    "2026.10.0",
    frozenset(
        [(code, X86) for code in ("focal", "jammy", "noble", "rhel9", "manylinux_2_28")]
        + [(code, "arm64") for code in ("noble", "rhel9", "manylinux_2_28")]
    ),
)
NOTHING_SERVED = PackageManagerStatus("2026.10.0", frozenset())

SOURCE = f"{PPM}/cran/latest"
OURS = f"{PPM}/cran/__linux__/jammy/latest"
FOREIGN = f"{PPM}/cran/__linux__/focal/latest"
PORTABLE = f"{PPM}/cran/__linux__/manylinux_2_28/latest"


def done(text, mode, host=JAMMY, status=SERVED):
    """What the road does, with an answer that is known already."""
    settled = settle(text, mode)
    return settled if isinstance(settled, Rewrite) else rewrite(settled, mode, host, status)


# --- the table ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mode", "served", "source", "compatible", "incompatible", "portable"),
    [
        ("auto", True, SOURCE, OURS, OURS, PORTABLE),
        ("force-source", True, SOURCE, SOURCE, SOURCE, SOURCE),
        ("force-binary", True, OURS, OURS, OURS, PORTABLE),
        ("force-portable", True, PORTABLE, PORTABLE, PORTABLE, PORTABLE),
        ("none", True, SOURCE, OURS, FOREIGN, PORTABLE),
        # a server without binaries for this host: then there are no compatible ones either
        ("auto", False, SOURCE, SOURCE, SOURCE, PORTABLE),
        ("force-source", False, SOURCE, SOURCE, SOURCE, SOURCE),
        ("force-binary", False, SOURCE, SOURCE, SOURCE, PORTABLE),
        ("force-portable", False, PORTABLE, PORTABLE, PORTABLE, PORTABLE),
        ("none", False, SOURCE, OURS, FOREIGN, PORTABLE),
    ],
)
def test_each_mode_does_what_the_vendors_table_says(mode, served, source, compatible, incompatible, portable):
    status = SERVED if served else NOTHING_SERVED

    became = [done(text, Mode(mode), status=status).after for text in (SOURCE, OURS, FOREIGN, PORTABLE)]

    assert [source, compatible, incompatible, portable] == became


def test_the_table_has_an_entry_for_each_mode_and_kind():
    assert set(itertools.product(Mode, Kind)) == {(mode, kind) for mode, row in AIMS.items() for kind in row}
    assert {Aim.KEEP} == set(AIMS[Mode.NONE].values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{PPM}/cran/latest", f"{PPM}/cran/latest"),
        (f"{PPM}/cran/__linux__/jammy/latest", f"{PPM}/cran/__linux__/jammy/latest"),
        (f"{PPM}/cran/__linux__/manylinux_2_28/latest", f"{PPM}/cran/__linux__/manylinux_2_28/latest"),
        (f"{PPM}/cran/__linux__/focal/latest", f"{PPM}/cran/__linux__/jammy/latest"),
    ],
)
def test_the_vendors_examples_on_ubuntu_22_04_in_mode_auto(before, after):
    assert after == done(before, Mode.AUTO).after


# --- where the distribution stands ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "form",
    [
        # path prefixes
        "https://host/cran/{}latest",
        "https://host/rspm/cran/{}latest",
        "https://host/a/b.c/~d/cran/{}latest",
        "http://10.0.0.5:4242/cran/{}latest",
        # as it was written, upper case and usual port too
        "HTTPS://Host:443/CRAN/{}latest",
        # a slash at the end stays, and none is added
        "https://host/cran/{}latest/",
        # snapshots
        "https://host/cran/{}2026-02-28",
        "https://host/cran/{}2024-02-29",
        "https://host/cran/{}5",
        "https://host/cran/{}1234567890",
        # repositories with names that mislead
        "https://host/latest/{}latest",
        "https://host/2026-01-01/{}7",
        "https://host/simple/{}latest",
        "https://host/jammy/{}latest",
        # Bioconductor: the mirror, and what R makes of it
        "https://host/bioconductor/{}latest",
        "https://host/rspm/bioconductor/{}2026-01-31",
        "https://host/bioconductor/{}1234/",
        "https://host/bioconductor/{}latest/packages/3.22/bioc",
        "https://host/bioc/{}12/packages/3.9/data/annotation/",
    ],
)
def test_the_distribution_comes_before_the_snapshot_and_goes_from_there(form):
    source, ours, foreign, portable = (
        form.format(part and f"__linux__/{part}/") for part in ("", "jammy", "focal", "manylinux_2_28")
    )

    assert ours == done(source, Mode.FORCE_BINARY).after
    assert ours == done(foreign, Mode.AUTO).after
    assert source == done(foreign, Mode.AUTO, status=NOTHING_SERVED).after
    assert source == done(ours, Mode.FORCE_SOURCE).after
    assert portable == done(ours, Mode.FORCE_PORTABLE).after
    assert portable == done(source, Mode.FORCE_PORTABLE).after


@pytest.mark.parametrize(
    ("text", "manager", "repository", "distribution", "snapshot"),
    [
        ("https://host/cran/latest", "https://host", "cran", None, "latest"),
        ("HTTPS://Host:443/a/b/cran/5/", "https://host/a/b", "cran", None, "5"),
        ("https://host:8443/r/__linux__/jammy/2026-01-01", "https://host:8443", "r", "jammy", "2026-01-01"),
        ("https://host/bioconductor/latest/packages/3.22/bioc", "https://host", "bioconductor", None, "latest"),
    ],
)
def test_the_parts_of_a_url(text, manager, repository, distribution, snapshot):
    url = RepositoryUrl.parse(text)

    assert (manager, repository, distribution, snapshot) == (
        str(url.manager),
        url.repository,
        url.distribution,
        url.snapshot,
    )
    assert text == str(url)


OTHERS = [
    # Python
    f"{PPM}/pypi/latest/simple",
    f"{PPM}/pypi/latest/simple/",
    f"{PPM}/rspm/pypi/2026-01-01/simple/",
    f"{PPM}/cran/__linux__/focal/latest/simple",
    # other repositories
    "https://cran.r-project.org",
    "https://cloud.r-project.org/",
    "https://bioconductor.org/packages/3.22/bioc",
    "https://somebody.r-universe.dev/bin/linux/noble-x86_64/4.5/",
    "@CRAN@",
    "file:///srv/cran/latest",
    "ftp://host/cran/latest",
    "git+ssh://host/cran/latest",
    "C:\\cran\\latest",
    "/srv/cran/latest",
    "",
    # almost
    f"{PPM}/latest",
    f"{PPM}/cran",
    f"{PPM}/cran/Latest",
    f"{PPM}/cran/newest",
    f"{PPM}/cran/latest//",
    f"{PPM}//cran/latest",
    f"{PPM}/cran//latest",
    f"{PPM}/cran/latest/src/contrib",
    f"{PPM}/cran/latest/bin/linux/4.5-noble",
    f"{PPM}/cran/2026-13-01",
    f"{PPM}/cran/2026-02-30",
    f"{PPM}/cran/20-01-01",
    f"{PPM}/cran/-5",
    f"{PPM}/cran/1.5",
    f"{PPM}/cran/" + "1" * 19,
    f"{PPM}/cran/\u0661\u0662",
    f"{PPM}/cran/__linux__/latest",
    f"{PPM}/cran/__linux__/focal",
    f"{PPM}/cran/__linux__//latest",
    f"{PPM}/cran/__linux__/focal/focal/latest",
    f"{PPM}/cran/__linux__/../latest",
    f"{PPM}/cran/__linux__/__linux__/latest",
    f"{PPM}/cran/__LINUX__/focal/latest",
    f"{PPM}/cran/__windows__/focal/latest",
    f"{PPM}/__linux__/focal/latest",
    f"{PPM}/__api__/latest",
    f"{PPM}/../cran/latest",
    f"{PPM}/./latest",
    f"{PPM}/bioconductor/__linux__/focal/packages/3.22/bioc",
    f"{PPM}/bioconductor/latest/packages/3.22/other",
    f"{PPM}/bioconductor/latest/packages/release/bioc",
    # characters that parsers disagree on
    f"{PPM}/cran/latest?x=1",
    f"{PPM}/cran/latest#x",
    f"{PPM}/cran/__linux__/focal/latest?",
    f"{PPM}/cr%61n/latest",
    f"{PPM}/cran;x/latest",
    f"{PPM}/cran/latest\n",
    f"\n{PPM}/cran/latest",
    f"{PPM}\\cran\\latest",
    "https:/host/cran/latest",
    "https://host?/cran/latest",
    "https:///cran/latest",
    "https://h\u00f6st/cran/latest",
    "https://host\u3002example/cran/latest",
    "https://127.1/cran/latest",
    "https://[::1]/cran/latest",
    "https://host:99999/cran/latest",
    f"{PPM}/" + "a" * 2048 + "/latest",
    f"{PPM}" + "/a" * 900 + "/",
]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("text", OTHERS)
def test_python_and_other_repositories_are_never_touched_and_nobody_is_asked(text, mode):
    settled = settle(text, mode)

    assert isinstance(settled, Rewrite)
    assert (text, text, False) == (settled.before, settled.after, settled.is_changed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{PPM}/pypi/latest/simple/", "it is a Python index, which is never touched"),
        ("https://cran.r-project.org", "it has not the form of a Package Manager's R repository"),
        ("https://127.1/cran/latest", "its host is not one that a Package Manager can have"),
        ("https://u@host/cran/latest", "it carries a user name or a password"),
    ],
)
def test_the_reason_for_not_touching_a_url_is_told(text, reason):
    assert done(text, Mode.AUTO).reason.startswith(reason)

    with pytest.raises(InvalidParameter, match=reason):
        RepositoryUrl.parse(text)


# --- what is served -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("host", "before", "mode", "after"),
    [
        # arm64 is built for few distributions
        (JAMMY_ARM, FOREIGN, "auto", SOURCE),
        (JAMMY_ARM, OURS, "auto", SOURCE),
        (JAMMY_ARM, SOURCE, "force-binary", SOURCE),
        (JAMMY_ARM, PORTABLE, "auto", PORTABLE),
        (JAMMY_ARM, FOREIGN, "force-portable", PORTABLE),
        (NOBLE_ARM, FOREIGN, "auto", f"{PPM}/cran/__linux__/noble/latest"),
        (NOBLE_ARM, SOURCE, "force-binary", f"{PPM}/cran/__linux__/noble/latest"),
        # an architecture that nobody builds for
        (Host("jammy", "riscv64", "Ubuntu"), OURS, "auto", SOURCE),
        # a distribution that this server does not build for
        (Host("bookworm", X86, "Debian"), FOREIGN, "auto", SOURCE),
        (Host("bookworm", X86, "Debian"), SOURCE, "force-binary", SOURCE),
        # a host that no rule knows: what is there may be right, so it stays
        (ALPINE, FOREIGN, "auto", FOREIGN),
        (ALPINE, FOREIGN, "force-binary", FOREIGN),
        (ALPINE, SOURCE, "force-binary", SOURCE),
        # where the host does not matter, it need not be known
        (ALPINE, FOREIGN, "force-source", SOURCE),
        (ALPINE, FOREIGN, "force-portable", PORTABLE),
        # a code is compared as it is
        (JAMMY, f"{PPM}/cran/__linux__/Jammy/latest", "auto", OURS),
        # portable binaries of another level are portable as well
        (
            JAMMY,
            f"{PPM}/cran/__linux__/manylinux_2_34/latest",
            "auto",
            f"{PPM}/cran/__linux__/manylinux_2_34/latest",
        ),
    ],
)
def test_binaries_fit_where_distribution_and_architecture_are_served(host, before, mode, after):
    assert after == done(before, Mode(mode), host).after


@pytest.mark.parametrize(
    ("before", "mode", "host", "reason"),
    [
        (FOREIGN, "auto", JAMMY, "this host is jammy, x86_64, and its binaries are served"),
        (FOREIGN, "auto", JAMMY_ARM, "no binaries are served for this host (jammy, arm64), so sources are used"),
        (FOREIGN, "auto", ALPINE, "the distribution of this host is not known (Alpine Linux v3.22, x86_64)"),
        (SOURCE, "auto", JAMMY, "mode auto keeps sources"),
        (OURS, "auto", JAMMY, "mode auto keeps binaries of this host's distribution"),
        (OURS, "force-source", JAMMY, "mode force-source asks for sources"),
        (OURS, "force-portable", JAMMY, "mode force-portable asks for portable binaries"),
        (OURS, "none", JAMMY, "mode none touches nothing"),
    ],
)
def test_each_decision_says_why(before, mode, host, reason):
    assert reason == done(before, Mode(mode), host).reason


def test_forced_portable_binaries_that_are_not_listed_are_used_with_a_warning():
    forced = done(SOURCE, Mode.FORCE_PORTABLE, status=NOTHING_SERVED)

    assert PORTABLE == forced.after
    assert "the server lists no manylinux_2_28 for x86_64" in forced.reason


@pytest.mark.parametrize(
    ("text", "mode", "asks"),
    [
        (SOURCE, "auto", False),
        (PORTABLE, "auto", False),
        (SOURCE, "force-source", False),
        (PORTABLE, "force-binary", False),
        (PORTABLE, "force-portable", False),
        (OURS, "none", False),
        (OURS, "auto", True),
        (FOREIGN, "auto", True),
        (SOURCE, "force-binary", True),
        (OURS, "force-source", True),
        (PORTABLE, "force-source", True),
        (SOURCE, "force-portable", True),
    ],
)
def test_a_server_is_asked_only_where_its_answer_matters(text, mode, asks):
    assert asks is isinstance(settle(text, Mode(mode)), RepositoryUrl)


# --- secrets --------------------------------------------------------------------------------------------------------
LOGINS = [
    "https://alice:canary@host/cran/__linux__/focal/latest",
    "https://canary@host/cran/__linux__/focal/latest",
    "https://__token__:canary@host/cran/latest",
    "https://alice:canary?x#y@host/cran/latest",
    "https://alice:canary/x@host/cran/latest",
    "https://alice:canary@",
    "alice:canary@host/cran/latest",
    "https://host/cran/latest?token=canary",
    "https://host/cran/latest#canary",
]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("text", LOGINS)
def test_a_secret_in_a_url_is_not_shown_and_the_url_not_touched(text, mode):
    """(T35, T43)"""
    kept = done(text, mode)

    assert text == kept.after
    assert not any("canary" in part for part in (kept.reason, repr(kept), shown(kept.before), shown(kept.after)))


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("https://alice:pw@host/cran/latest", "…@host/cran/latest"),
        ("https://host/cran/latest?x=1#y", "https://host/cran/latest"),
        (SOURCE, SOURCE),
        ("@CRAN@", "@CRAN@"),
    ],
)
def test_the_rest_of_a_url_is_shown(text, visible):
    assert visible == shown(text)


# --- for every URL --------------------------------------------------------------------------------------------------
CODES = ("focal", "jammy", "noble", "rhel9", "centos7", "manylinux_2_28", "manylinux_2_34")
segments = st.from_regex(r"[A-Za-z0-9~-][A-Za-z0-9._~-]{0,9}", fullmatch=True)
hosts = st.builds(Host, st.none() | st.sampled_from(CODES[:5]), st.sampled_from([X86, "arm64", "s390x"]), st.text())
pairs = st.tuples(st.sampled_from(CODES), st.sampled_from([X86, "arm64"]))
statuses = st.builds(PackageManagerStatus, st.just(""), st.frozensets(pairs))
modes = st.sampled_from(Mode)
snapshots = st.just("latest") | st.dates().map(str) | st.integers(0, 10**18 - 1).map(str)
rests = st.sampled_from(["", "/", "/packages/3.22/bioc", "/packages/3.22/data/experiment/"])


@st.composite
def places(draw):
    """Everything of a URL that rewriting may not change: what stands before and after the distribution."""
    port = draw(st.none() | st.integers(1, 65535))
    host = draw(st.sampled_from(["host", "Packages.Example.com", "127.0.0.1"]))
    before = [f"{draw(st.sampled_from(['http', 'https']))}://{host}{'' if port is None else f':{port}'}"]
    return "/".join([*before, *draw(st.lists(segments, min_size=1, max_size=4))]), draw(snapshots) + draw(rests)


def url_of(place, distribution):
    return f"{place[0]}{f'/__linux__/{distribution}' if distribution else ''}/{place[1]}"


distributions = st.none() | st.sampled_from(CODES) | segments


@given(places(), distributions, modes, hosts, statuses)
def test_only_the_distribution_changes(place, distribution, mode, host, status):
    """
    Scheme, host, port, prefix, repository, snapshot and last slash stay, and no user name appears.
    """
    after = done(url_of(place, distribution), mode, host, status).after

    assert after in {url_of(place, each) for each in (None, distribution, host.code, "manylinux_2_28")}
    assert "@" not in after


@given(places(), distributions, modes, hosts, statuses)
def test_rewriting_twice_is_rewriting_once(place, distribution, mode, host, status):
    once = done(url_of(place, distribution), mode, host, status).after

    assert once == done(once, mode, host, status).after


@given(places(), distributions, hosts, statuses)
def test_binaries_are_chosen_only_where_they_are_served(place, distribution, host, status):
    for mode in (Mode.AUTO, Mode.FORCE_BINARY):
        chosen = done(url_of(place, distribution), mode, host, status)

        assert not chosen.is_changed or chosen.after == url_of(
            place, host.code if status.serves(host.code, host.architecture) else None
        )


@given(st.text() | places().map(lambda place: f"{place[0]}/__linux__/focal/{place[1]}"))
def test_mode_none_is_the_identity(text):
    assert text == done(text, Mode.NONE).after


@given(places(), distributions, modes, st.sampled_from(["/simple", "/simple/"]), hosts, statuses)
def test_a_python_index_is_never_touched(place, distribution, mode, simple, host, status):
    text = url_of(place, distribution).rstrip("/") + simple

    assert text == done(text, mode, host, status).after


@given(st.text(), modes, hosts, statuses)
def test_whatever_the_text_is_there_is_an_answer(text, mode, host, status):
    assert done(text, mode, host, status).reason


@given(st.text(alphabet="/_.~-a@:?#%1 latestlinuxcranhttps"), modes)
def test_what_is_not_understood_stays(text, mode):
    kept = done(f"https://host/{text}", mode, JAMMY, NOTHING_SERVED)

    assert not kept.is_changed or isinstance(settle(kept.before, mode), RepositoryUrl)


def test_a_long_url_costs_no_time():
    """No pattern here backtracks without end (T8)."""
    assert not done("https://host" + "/a" * 1_000_000, Mode.AUTO).is_changed
    assert not done("https://host" + "/latest" * 290 + "/x", Mode.AUTO).is_changed
