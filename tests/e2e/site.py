"""
A site to test on: a broker and two Package Managers as processes, over TLS with a throw-away CA, on two hosts.
"""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

BROKER = [sys.executable, "-m", "broker"]
START_SECONDS = 30


@dataclass
class Reply:
    """An answer over HTTP, whatever its status."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Server:
    """A process that serves until it is told to stop."""

    process: subprocess.Popen
    url: str
    log: Path

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self, number=15):
        self.process.send_signal(number)
        return self.process.wait(15)


@dataclass
class Site:
    """The parts, and how a person or a build system speaks to them."""

    folder: Path
    ca_file: Path
    context: ssl.SSLContext
    broker: Server | None = None
    key: str = ""
    managers: dict = field(default_factory=dict)

    def call(self, method, path, body=None, *, key=None, url=None):
        headers = {"Content-Type": "application/json", "Authorization": f"Key {key or self.key}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request((url or self.broker.url) + path, data, headers, method=method)
        return self.send(request)

    def send(self, request):
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)
        )
        try:
            with opener.open(request, timeout=30) as answer:
                return Reply(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Reply(refused.code, dict(refused.headers), refused.read())

    def api(self, method, path, body=None):
        """Call the administration and expect it to work."""
        reply = self.call(method, f"/__api__/v1{path}", body)
        assert reply.status in {200, 204}, reply.body
        return reply.json() if reply.body else None

    def control(self, name, method, path, body=None):
        """Speak to the control endpoints of an emulator."""
        return self.call(method, f"/__control__{path}", body, url=self.managers[name].url)

    def faults(self, name, *faults):
        assert 200 == self.control(name, "PUT", "/faults", {"faults": list(faults)}).status

    def requests(self, name):
        return self.control(name, "GET", "/log").json()["requests"]

    def environment(self, tmp_path):
        """
        Return what a build's command sees: nothing of this machine's package settings, and the throw-away CA.
        """
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("PIP_", "UV_", "BROKER_", "R_", "SSL_"))}
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        wgetrc = home / "wgetrc"
        wgetrc.write_text(f"ca_certificate = {self.ca_file}\n")
        run_root = tmp_path / "run"
        run_root.mkdir(mode=0o700, exist_ok=True)
        return {
            **kept,
            "HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CERT": str(self.ca_file),
            "UV_NO_CONFIG": "1",
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
            "SSL_CERT_FILE": str(self.ca_file),
            "CURL_CA_BUNDLE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "WGETRC": str(wgetrc),
            "BROKER_SERVER": self.broker.url,
            "BROKER_API_KEY": self.key,
            "BROKER_CA_FILE": str(self.ca_file),
            "BROKER_RUN_DIR": str(run_root),
        }

    def run(self, tmp_path, owner, *command, options=()):
        """Run a command as one build of this owner."""
        return subprocess.run(
            [*BROKER, "run", "--owner", owner, *options, "--", *map(str, command)],
            env=self.environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


def new_site(folder):
    """Return a site without servers yet: a CA and the certificates of both hosts."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    certificate = authority.issue_cert("127.0.0.1", "127.0.0.2", "localhost")
    certificate.private_key_pem.write_to_path(folder / "tls.key")
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(folder / "tls.crt", append=number > 0)
    context = ssl.create_default_context(cafile=str(ca_file))
    return Site(folder, ca_file, context)


def set_up_broker(site, *, port=None, settings=""):
    """Run `broker init` and return the port; the first API key is `site.key` from then on."""
    port = port or free_port("127.0.0.1")
    said = command(
        "init", "--issuer", f"https://127.0.0.1:{port}/", "--data-dir", site.folder / "broker", "--port", port,
        "--allow-loopback",
    )  # fmt: skip
    site.key = re.search(r"pcb_[0-9A-Za-z]{49}", said)[0]
    with (site.folder / "broker" / "broker.toml").open("a") as file:
        file.write(
            f'tls_certificate = "{site.folder}/tls.crt"\ntls_key = "{site.folder}/tls.key"\n'
            f'ca_file = "{site.ca_file}"\n{settings}'
        )
    return port


@contextmanager
def serving(site, port):
    """Run `broker serve`."""
    with server(site, "broker", port, "serve", "--data-dir", site.folder / "broker", probe="/healthz") as broker:
        site.broker = broker
        yield broker


@contextmanager
def package_manager(site, name, host, packages):
    """Run `broker emulator` with the section that `broker federation-config` prints."""
    gcfg = site.folder / f"{name}.gcfg"
    gcfg.write_text(command("federation-config", "--data-dir", site.folder / "broker"))
    port = free_port(host)
    words = (
        "emulator", "--config", gcfg, "--packages", packages, "--host", host, "--port", port, "--control",
        "--tls-certificate", site.folder / "tls.crt", "--tls-key", site.folder / "tls.key", "--issuer-ca", site.ca_file,
    )  # fmt: skip
    with server(site, name, port, *words, probe="/__api__/status", host=host) as manager:
        site.managers[name] = manager
        yield manager


@contextmanager
def server(site, name, port, *words, probe, host="127.0.0.1"):
    log = site.folder / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*BROKER, *map(str, words)], stdout=out, stderr=subprocess.STDOUT, env=server_environment()
        )
    running = Server(process, f"https://{host}:{port}", log)
    try:
        wait_for(site, running, probe)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(site, running, probe):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert running.process.poll() is None, running.text()
        try:
            if 200 == site.send(urllib.request.Request(running.url + probe)).status:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{running.url} does not answer: {running.text()}")


def command(*words):
    """Run a command of the broker that ends by itself, and return what it said."""
    done = subprocess.run(
        [*BROKER, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=server_environment(),
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def server_environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[2])}


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
