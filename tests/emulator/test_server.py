"""
The emulator as a process: clear faults before it starts, and real clients while it runs.
"""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import trustme
import uvicorn

from broker.emulator.exchange import GRANT, ID_TOKEN
from broker.emulator.fetching import HttpFetch
from broker.emulator.refusals import IssuerUnavailable
from broker.emulator.samples import make_r_package, make_wheel
from broker.emulator.server import introduction, listen, load_settings, run_emulator
from broker.errors import PortInUse, SettingsFault
from tests.emulator.parts import ISSUER, Clock, Issuer

CONFIG = f"""
[IdentityFederation "connect"]
Issuer = {ISSUER}
Audience = package-manager
Subject = connect
RoleClaim = roles
UsernameClaim = preferred_username
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "rstudio-pm.gcfg"
    path.write_text(CONFIG)
    return path


# --- before it starts -----------------------------------------------------------------------------------------------
def test_every_fault_of_the_settings_is_told_at_once(tmp_path):
    broken = tmp_path / "pm.gcfg"
    broken.write_text('[IdentityFederation "x"]\nIssuer = nowhere\nAudience = a\nSubject = b\n')

    with pytest.raises(SettingsFault) as caught:
        run_emulator(broken, tmp_path / "nothing", faults=["nonsense"], tls_certificate=broken)

    faults = "\n".join(caught.value.faults)
    assert 4 == len(caught.value.faults)
    assert all(part in faults for part in ("nowhere", "nonsense", "is not a folder", "--tls-key"))


@pytest.mark.parametrize("what", ["certificate", "key", "authorities"])
def test_tls_files_that_are_none_are_refused(config, packages, tmp_path, what):
    server = trustme.CA().issue_cert("localhost")
    certificate, key, bad = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "bad.pem"
    server.cert_chain_pems[0].write_to_path(certificate)
    server.private_key_pem.write_to_path(key)
    bad.write_text("not PEM")
    files = {"tls_certificate": certificate, "tls_key": key, "issuer_ca": None} | {
        {"certificate": "tls_certificate", "key": "tls_key", "authorities": "issuer_ca"}[what]: bad
    }

    with pytest.raises(SettingsFault, match="cannot be used"):
        run_emulator(config, packages, port=0, **files)


def test_a_port_that_is_taken_is_told(config, packages):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1"):
            run_emulator(config, packages, port=port)


@pytest.mark.parametrize(
    ("host", "port", "fault"),
    [
        ("127.0.0.1", 70000, "--port 70000"),
        ("127.0.0.1", -1, "--port -1"),
        ("192.0.2.1", 0, "--host 192.0.2.1"),
        ("no such host", 0, "--host"),
        ("", 0, "--host"),
    ],
)
def test_an_address_that_is_none_is_told(host, port, fault):
    with pytest.raises(SettingsFault, match=fault):
        listen(host, port)


def test_the_introduction_says_who_is_trusted_and_what_is_served(config, packages):
    (packages / "pypi" / "broken-1.0.tar.gz").write_text("")
    (packages / "empty").mkdir()
    (packages / "repositories.toml").write_text("[cran]\nauth = false")
    settings = load_settings(config, packages, faults=["slow:2"], control=True)

    assert [
        "Package Manager emulator at http://127.0.0.1:4242/",
        f'trusts "connect": issuer {ISSUER} audience package-manager subject connect',
        "serves cran: R, 1 files, open to everybody",
        "serves empty: empty, kind unknown, 0 files, needs a token",
        "serves internal: Python, 1 files, needs a token",
        "serves pypi: Python, 2 files, needs a token",
        "leaves out pypi/broken-1.0.tar.gz: not a readable wheel, sdist or R source package",
        "fault on: slow:2@exchange",
        "control endpoints below http://127.0.0.1:4242/__control__ for callers on this machine",
    ] == introduction(settings, "http://127.0.0.1:4242/")


# --- real servers, real clients -------------------------------------------------------------------------------------
class Running:
    """A real emulator process that trusts a real issuer over TLS."""

    def __init__(self, url, log, issuer, authorities):
        self.url, self.log, self.issuer, self.authorities = url, log, issuer, authorities
        self.client = httpx.Client(
            base_url=url, verify=ssl.create_default_context(cafile=str(authorities)), trust_env=False, timeout=10
        )

    def token(self, *roles):
        form = {
            "grant_type": GRANT,
            "subject_token": self.issuer.token(iss=self.issuer.url, roles=list(roles)),
            "subject_token_type": ID_TOKEN,
        }
        answer = self.client.post("__api__/token", data=form)
        assert 200 == answer.status_code, answer.text
        return answer.json()["access_token"]

    def netrc(self, folder, token):
        path = folder / "netrc"
        path.write_text(f"machine localhost login __token__ password {token}\n")
        path.chmod(0o600)
        return path

    def requests(self):
        return self.client.get("__control__/log").json()["requests"]


class ThreadedServer:
    """A uvicorn server for documents, in a thread, over TLS."""

    def __init__(self, app, certificate, key):
        self.socket = listen("127.0.0.1", 0)
        self.url = f"https://localhost:{self.socket.getsockname()[1]}/"
        config = uvicorn.Config(app, log_level="error", lifespan="off", ssl_certfile=certificate, ssl_keyfile=key)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder


@pytest.fixture(scope="module")
def running(tls, tmp_path_factory, signing_keys):
    folder = tmp_path_factory.mktemp("emulator")
    make_wheel(folder / "packages" / "pypi", "sample-pkg", "1.0.0", requires=["sample-dep"])
    make_wheel(folder / "packages" / "pypi", "sample-dep", "2.1")
    make_r_package(folder / "packages" / "cran", "sampler", "1.2.0")
    issuer = Issuer(signing_keys, Clock(time.time()))

    async def documents(scope, receive, send):
        document = await issuer.fetch(issuer.url.rstrip("/") + scope["path"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": document.status, "headers": headers})
        await send({"type": "http.response.body", "body": document.body})

    with ThreadedServer(documents, tls / "cert.pem", tls / "key.pem") as server:
        issuer.url = server.url
        keys = issuer.json({"keys": [issuer.jwk("rsa", "r1")]})
        discovery = issuer.json({"issuer": server.url, "jwks_uri": f"{server.url}jwks"})
        issuer.documents = {f"{server.url}.well-known/openid-configuration": discovery, f"{server.url}jwks": keys}
        (folder / "rstudio-pm.gcfg").write_text(CONFIG.replace(ISSUER, server.url))
        yield from emulate(folder, tls, issuer)


def emulate(folder, tls, issuer):
    options = f"""control=True, issuer_ca=Path({str(tls / "ca.pem")!r}),
        tls_certificate=Path({str(tls / "cert.pem")!r}), tls_key=Path({str(tls / "key.pem")!r})"""
    with starting(folder, options) as (_, url):
        started = Running(url.replace("127.0.0.1", "localhost"), folder / "log", issuer, tls / "ca.pem")
        with started.client:
            yield started


@contextlib.contextmanager
def starting(folder, options):
    """Run the emulator as a process; yields it with its URL once its port is taken."""
    program = f"""
from pathlib import Path
from broker.emulator.server import run_emulator
folder = Path({str(folder)!r})
run_emulator(folder / "rstudio-pm.gcfg", folder / "packages", host="127.0.0.1", port=0,
    ready=lambda url: (folder / "url.new").write_text(url) and (folder / "url.new").rename(folder / "url"), {options})
"""
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", program], stderr=output, cwd=Path(__file__).parents[2])
    try:
        yield process, wait_for(folder / "url", process, log)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(path, process, log):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return path.read_text()


def environment(running, folder, token, **more):
    """An environment with nothing of this machine's configuration in it."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "NETRC": str(running.netrc(folder, token)),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CERT": str(running.authorities),
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "SSL_CERT_FILE": str(running.authorities),
        **more,
    }


def run(*command, env, folder):
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=90, check=False)


def pip(running, folder, token):
    index = f"{running.url}pypi/latest/simple/"
    command = ("-m", "pip", "install", "--no-cache-dir", "--target", "lib", "--index-url", index, "sample-pkg")
    return run(sys.executable, *command, env=environment(running, folder, token), folder=folder)


def uv(running, folder, token):
    index = f"{running.url}pypi/latest/simple/"
    command = ("-m", "uv", "pip", "install", "--target", "lib", "--index-url", index, "sample-pkg")
    return run(sys.executable, *command, env=environment(running, folder, token), folder=folder)


@pytest.mark.e2e
@pytest.mark.parametrize("install", [pip, uv])
def test_an_unmodified_python_client_installs_through_its_netrc(running, tmp_path, install):
    done = install(running, tmp_path, running.token("repos:read:pypi"))

    assert 0 == done.returncode, done.stderr + running.log.read_text()
    assert ["sample_dep", "sample_pkg"] == sorted(path.name for path in (tmp_path / "lib").glob("sample_???"))


@pytest.mark.e2e
@pytest.mark.parametrize("install", [pip, uv])
def test_a_python_client_without_the_scope_installs_nothing(running, tmp_path, install):
    done = install(running, tmp_path, running.token("repos:read:cran"))

    assert 0 != done.returncode
    assert not list(tmp_path.glob("lib/sample_pkg"))


@pytest.mark.e2e
@pytest.mark.needs("Rscript")
@pytest.mark.parametrize(("scope", "installed"), [("repos:read:cran", True), ("repos:read:pypi", False)])
def test_r_installs_through_the_curlrc(running, tmp_path, scope, installed):
    (tmp_path / "lib").mkdir()
    (tmp_path / "home").mkdir()
    env = environment(running, tmp_path, running.token(scope), CURL_HOME=str(tmp_path / "home"))
    (tmp_path / "home" / ".curlrc").write_text(f'netrc-file = "{env["NETRC"]}"\ncacert = "{running.authorities}"\n')
    code = f'install.packages("sampler", lib="lib", method="curl", repos="{running.url}cran/latest")'

    done = run("Rscript", "--vanilla", "-e", code, env=env, folder=tmp_path)

    assert installed is (tmp_path / "lib" / "sampler" / "DESCRIPTION").exists(), done.stdout + done.stderr


@pytest.mark.e2e
@pytest.mark.needs("curl")
def test_curl_fetches_an_index_through_its_netrc(running, tmp_path):
    env = environment(running, tmp_path, running.token("repos:read:cran"))
    command = ("curl", "-q", "-sf", "--netrc-file", env["NETRC"], "--cacert", str(running.authorities))

    done = run(*command, f"{running.url}cran/latest/src/contrib/PACKAGES", env=env, folder=tmp_path)

    assert done.stdout.startswith("Package: sampler\n")


@pytest.mark.e2e
def test_the_log_of_the_process_names_people_and_no_token(running):
    """(T35)"""
    running.client.delete("__control__/log")
    token = running.token("repos:read:*")
    running.client.get("pypi/latest/simple/", auth=("__token__", token))

    log = running.log.read_text()

    assert [("POST", "alice"), ("GET", "alice")] == [(r["method"], r["user"]) for r in running.requests()[:2]]
    assert "user=alice federation=connect" in log
    assert not any(part in log for part in token.split("."))


@pytest.mark.e2e
def test_an_endless_answer_ends_with_the_client_and_not_before(running):
    running.client.put("__control__/faults", json={"faults": ["endless"]})
    size = 0
    with running.client.stream("POST", "__api__/token", content=b"") as answer:
        for chunk in answer.iter_raw():
            size += len(chunk)
            if size > 300_000:
                break
    running.client.delete("__control__/faults")

    assert size > 300_000
    assert running.token("repos:read:*")


@pytest.mark.e2e
def test_an_issuer_whose_certificate_does_not_verify_is_not_believed(running):
    """(T14)"""
    with pytest.raises(IssuerUnavailable, match=r"cannot be fetched: .*certificate verify failed"):
        asyncio.run(HttpFetch()(f"{running.issuer.url}jwks"))


@pytest.mark.e2e
def test_it_is_stopped_by_hand_without_a_trace_and_frees_its_port(config, packages, tmp_path):
    (tmp_path / "packages").symlink_to(packages)
    with starting(tmp_path, "") as (process, url):
        process.send_signal(signal.SIGINT)
        code = process.wait(10)

    assert 0 == code
    assert "Traceback" not in (tmp_path / "log").read_text()
    listen("127.0.0.1", httpx.URL(url).port).close()
