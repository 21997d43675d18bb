"""
Unmodified clients find their credentials with what `broker run` sets, in the versions that this machine has.
"""

import ssl
import sys

import pytest
import trustme

from tests.fakes.build_api import TOKEN, Reply, build, credential
from tests.runner.conftest import tree
from tests.runner.repositories import repositories

pytestmark = pytest.mark.e2e


@pytest.fixture
def packages(api):
    """Authenticated repositories, and a build that may read them."""
    with repositories() as served:
        api.opening = Reply(build(credential("127.0.0.1", ppm_url=served.url)))
        yield served


@pytest.fixture
def closed():
    """The same, where the build has no credential."""
    with repositories("127.0.0.2") as served:
        yield served


@pytest.mark.needs("curl")
def test_curl_without_any_option(run, packages, tmp_path):
    ran = run(f"curl -sS --fail -o {tmp_path}/out {packages.url}/hello")

    assert 0 == ran.code
    assert "hello" == (tmp_path / "out").read_text()
    assert ["/hello"] == packages.with_token


@pytest.mark.needs("curl")
def test_curl_keeps_the_users_own_settings(run, packages, environ, tmp_path):
    with open(f"{environ['HOME']}/.curlrc", "w") as file:  # noqa: PTH123
        file.write(f'output = "{tmp_path}/chosen by the user"\n')

    ran = run(f"curl -sS --fail {packages.url}/hello")

    assert 0 == ran.code
    assert "hello" == (tmp_path / "chosen by the user").read_text()


@pytest.mark.needs("curl")
def test_a_host_without_integration_gets_nothing_directly_or_by_redirect(run, packages, closed):
    """(T44)"""
    packages.elsewhere = f"{closed.url}/hello"

    run(f"curl -sS -o /dev/null {closed.url}/hello; curl -sS -L -o /dev/null {packages.url}/away/hello")

    assert ["/away/hello"] == packages.with_token
    assert (["/hello", "/hello"], []) == ([path for path, _given in closed.asked], closed.with_anything)


@pytest.mark.needs("curl")
def test_curl_without_credentials_works_and_is_refused(run, api, packages, tmp_path):
    """An empty netrc is no error."""
    api.opening = Reply(build())

    ran = run(f"curl -sS -o /dev/null -w '%{{http_code}}' {packages.url}/hello > {tmp_path}/code")

    assert (0, "401") == (ran.code, (tmp_path / "code").read_text())


@pytest.mark.needs("curl")
def test_curl_does_not_send_the_token_in_clear_to_an_https_host(run, api, tmp_path):
    """http:// of a granted https host is turned into https before anything is sent (T44)."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    with repositories("localhost", context) as served:
        api.opening = Reply(build(credential("localhost", ppm_url=served.url)))

        ran = run(f"curl -sS --fail --cacert {tmp_path}/ca.crt -o {tmp_path}/out http://localhost:{served.port}/hello")

    assert (0, "hello") == (ran.code, (tmp_path / "out").read_text())
    assert ["/hello"] == served.with_token


@pytest.mark.needs("wget")
def test_wget_through_its_wrapper(run, packages, runtime, tmp_path):
    ran = run(f"wget -q -O {tmp_path}/out {packages.url}/hello")

    assert (0, "hello") == (ran.code, (tmp_path / "out").read_text())
    assert ["/hello"] == packages.with_token
    assert [] == tree(runtime)


def test_python_reads_the_netrc(run, packages, tmp_path):
    script = "import netrc, os; print(netrc.netrc(os.environ['NETRC']).authenticators('127.0.0.1'))"

    run(f'{sys.executable} -c "{script}" > {tmp_path}/out')

    assert f"('__token__', '', '{TOKEN}')\n" == (tmp_path / "out").read_text()


def test_pip(run, packages, tmp_path):
    install = "-m pip install -q --no-cache-dir --disable-pip-version-check --no-deps"
    index = f"--index-url {packages.url}/simple"

    ran = run(f"{sys.executable} {install} {index} --target {tmp_path}/site tinypkg 2> {tmp_path}/err")

    assert 0 == ran.code, (tmp_path / "err").read_text()
    assert "ANSWER = 42\n" == (tmp_path / "site" / "tinypkg.py").read_text()
    assert packages.with_token == [path for path, _given in packages.asked]


@pytest.mark.needs("uv")
def test_uv(run, packages, tmp_path):
    install = f"pip install -q --no-cache --no-deps --python {sys.executable} --target {tmp_path}/site"

    ran = run(f"uv {install} --index-url {packages.url}/simple tinypkg 2> {tmp_path}/err")

    assert 0 == ran.code, (tmp_path / "err").read_text()
    assert (tmp_path / "site" / "tinypkg.py").exists()


R = """
options(repos = c(CRAN = "{url}/cran"){options})
{more}
install.packages("tinyr", lib = "{lib}", quiet = TRUE{arguments})
cat(tinyr::answer())
"""


@pytest.fixture
def r(run, packages, tmp_path):
    """Install tinyr with R and return what R printed."""
    (tmp_path / "lib").mkdir()

    def go(options="", more="", arguments="", flags="", variables=None):
        script = R.format(url=packages.url, lib=tmp_path / "lib", options=options, more=more, arguments=arguments)
        (tmp_path / "install.R").write_text(script)
        command = f"R_LIBS={tmp_path}/lib Rscript {flags} {tmp_path}/install.R > {tmp_path}/out 2>&1"
        ran = run(command, variables=variables or {})
        return ran.code, (tmp_path / "out").read_text()

    return go


@pytest.mark.needs("Rscript")
@pytest.mark.parametrize(
    "options",
    ["", ', download.file.method = "libcurl"', ', download.file.method = "curl"', ', download.file.method = "wget"'],
    ids=["default", "libcurl", "curl", "wget"],
)
def test_r_installs_by_every_method(r, packages, options):
    code, out = r(options)

    assert (0, True) == (code, out.endswith("42")), out
    assert "/cran/src/contrib/tinyr_1.0.tar.gz" in packages.with_token
    assert TOKEN not in out


@pytest.mark.needs("Rscript")
def test_r_gives_the_token_to_no_other_host(r, packages, closed, tmp_path):
    """A download of several files at once is split by host; one that fails warns and the others go on (T44)."""
    more = f"""
    status <- suppressWarnings(download.file(c("{closed.url}/hello", "{packages.url}/hello"),
                               c("{tmp_path}/a", "{tmp_path}/b"), method = "libcurl", quiet = TRUE))
    cat("status", status, attr(status, "retvals") == 0L, "\\n")
    """

    code, out = r(more=more)

    assert 0 == code, out
    assert "status 0 FALSE TRUE" in out
    assert "hello" == (tmp_path / "b").read_text()
    assert [] == closed.with_anything


@pytest.mark.needs("Rscript")
def test_r_says_refused_where_it_is_refused(r, packages, api):
    """Without the wrapper's --fail the refusal would be read as if it were an index."""
    api.opening.body["credentials"][0]["password"] = "expired"

    code, out = r()

    assert 0 != code
    assert "malformed" not in out
    assert "returned error: 401" in out


@pytest.mark.needs("Rscript")
def test_a_refused_token_is_an_error_and_no_file(r, packages, tmp_path):
    more = f"""
    fault <- tryCatch(download.file("{packages.url}/nothing", "{tmp_path}/a", quiet = TRUE), error = conditionMessage)
    cat("fault:", fault, file.exists("{tmp_path}/a"), "\\n")
    """

    _code, out = r(more=more)

    assert f"fault: cannot open URL '{packages.url}/nothing': curl: " in out
    assert " FALSE" in out


@pytest.mark.needs("Rscript")
def test_the_users_and_the_sites_r_profiles_are_still_read(r, environ, tmp_path):
    """R reads R_PROFILE instead of the site's profile, so ours reads that one, where R would have."""
    (tmp_path / "site.R").write_text('cat("site;"); from.site <- 1\n')
    with open(f"{environ['HOME']}/.Rprofile", "w") as file:  # noqa: PTH123
        file.write('cat("user", from.site, "; ")\n')

    code, out = r(variables={"R_PROFILE": str(tmp_path / "site.R")})

    assert (0, True) == (code, out.startswith("site;user 1 ; ")), out


@pytest.mark.needs("Rscript")
def test_a_site_profile_that_downloads_finds_its_credentials(r, packages, tmp_path):
    (tmp_path / "site.R").write_text(f'utils::download.file("{packages.url}/hello", "{tmp_path}/a", quiet = TRUE)\n')

    code, out = r(variables={"R_PROFILE": str(tmp_path / "site.R")})

    assert 0 == code, out
    assert "hello" == (tmp_path / "a").read_text()


@pytest.mark.needs("Rscript")
def test_r_without_its_site_profile_is_the_known_exception(r):
    """(a) of docs/running-builds.md: if this begins to work, the document should say so."""
    code, out = r(flags="--vanilla")

    assert 0 != code
    assert "cannot open URL" in out
