"""
`broker serve`: whatever keeps it from serving is told in a sentence, before anything starts.
"""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.web.disks import fill, make_read_only, small_disk


def serve(cli, folder, *more, **environ):
    """
    Call what is expected not to serve; the port is never taken.
    """
    return cli("serve", "--data-dir", folder, *more, **environ)


# --- what keeps it from serving -------------------------------------------------------------------------------------
def test_without_init_the_way_is_told(cli, folder):
    said = serve(cli, folder)

    assert (1, "") == (said.code, said.out)
    assert "run `broker init --issuer https://…/`" in said.err
    assert not folder.exists()


def test_with_settings_but_without_init_the_way_is_told_and_nothing_is_made(cli, folder):
    said = serve(cli, folder, BROKER_ISSUER="https://broker.example.com/")

    assert 1 == said.code
    assert f"run: broker init --data-dir {folder}" in said.err
    assert not folder.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_in_use_is_told(cli, initialised, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]

        said = serve(cli, initialised, BROKER_HOST=host, BROKER_PORT=port)

    assert (1, "") == (said.code, said.out)
    assert f"{host}:{port} is in use by another process" in said.err


def test_an_address_of_another_machine_is_told(cli, initialised):
    said = serve(cli, initialised, BROKER_HOST="192.0.2.1")

    assert 1 == said.code
    assert "cannot listen on 192.0.2.1:8080: Cannot assign requested address" in said.err


def test_a_broken_settings_file_is_told(cli, initialised):
    (initialised / "broker.toml").write_text("issuer = ")

    said = serve(cli, initialised)

    assert (78, "") == (said.code, said.out)
    assert f"{initialised / 'broker.toml'} is not TOML" in said.err


def test_a_settings_file_that_was_named_must_be_there(cli, initialised):
    said = serve(cli, initialised, "--settings", initialised / "other.toml", BROKER_ISSUER="https://h.example/")

    assert 1 == said.code
    assert "other.toml does not exist" in said.err


def test_every_wrong_setting_is_told_at_once(cli, initialised):
    said = serve(cli, initialised, BROKER_PORT="0", BROKER_WORKERS="0", BROKER_LOG_LEVEL="x", BROKER_JWKS_MAX_AGE="-1")

    assert 78 == said.code
    assert "broker: 4 settings are wrong:" == said.err.splitlines()[0]
    assert 5 == len(said.err.splitlines())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: folder.chmod(0o755), "chmod 700"),
        (lambda folder: (folder / "signing-keys.json").chmod(0o640), "chmod 600"),
        (lambda folder: (folder / "signing-keys.json").write_bytes(b"{"), "damaged"),
        (lambda folder: (folder / "broker.db").write_bytes(b"x" * 8192), "storage"),
        (lambda folder: (folder / ".git").mkdir(), "git work tree"),
    ],
    ids=["folder", "key file", "damaged keys", "no database", "git"],
)
def test_a_folder_that_is_not_as_it_was_is_told(cli, initialised, change, says):
    change(initialised)

    said = serve(cli, initialised)

    assert (1, "") == (said.code, said.out)
    assert says in said.err


@pytest.mark.parametrize("url", ["nonsense", "nosuch://u:canary@h/d", "postgresql://u:canary@h:x/d"])
def test_a_database_url_that_is_none_is_told_without_it(cli, initialised, url):
    said = serve(cli, initialised, BROKER_DATABASE_URL=url)

    assert 78 == said.code
    assert "database_url: not a database" in said.err
    assert "canary" not in said.err


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """
    A folder with a certificate, its key, the same key with a password, another key, and no PEM at all.
    """
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    first, second = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    first.cert_chain_pems[0].write_to_path(folder / "certificate")
    first.private_key_pem.write_to_path(folder / "key")
    second.private_key_pem.write_to_path(folder / "other-key")
    key = serialization.load_pem_private_key(first.private_key_pem.bytes(), None)
    (folder / "locked-key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"canary"),
        )
    )
    (folder / "nonsense").write_text("nonsense")
    (folder / "empty").touch()
    return folder


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("nonsense", "key"), ("certificate", "nonsense"), ("certificate", "other-key"), ("certificate", "locked-key"),
     ("key", "certificate"), ("empty", "empty")],
)  # fmt: skip
def test_a_certificate_that_does_not_work_is_told(cli, initialised, pem, certificate, key):
    """
    Also a key with a password, for which the server would wait at a terminal that is not there.
    """
    said = serve(cli, initialised, BROKER_TLS_CERTIFICATE=pem / certificate, BROKER_TLS_KEY=pem / key)

    assert (78, "") == (said.code, said.out)
    assert "tls_certificate, tls_key: not a certificate with its unencrypted key in PEM" in said.err


@pytest.mark.parametrize("name", ["nonsense", "empty", "key"])
def test_authorities_that_are_none_are_told(cli, initialised, pem, name):
    said = serve(cli, initialised, BROKER_CA_FILE=pem / name)

    assert 78 == said.code
    assert f"ca_file = '{pem / name}': not a file with certificates in PEM" in said.err


@pytest.mark.needs("mount")
def test_a_full_disk_is_told(cli, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        folder = disk / "data"
        assert 0 == cli("init", "--issuer", "https://broker.example.com/", "--data-dir", folder).code
        fill(disk)

        said = serve(cli, folder)

    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("broker: the storage cannot be used now: ")


@pytest.mark.needs("mount")
def test_a_read_only_folder_is_told(cli, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        folder = disk / "data"
        assert 0 == cli("init", "--issuer", "https://broker.example.com/", "--data-dir", folder).code
        make_read_only(disk)

        said = serve(cli, folder)

    assert (1, "") == (said.code, said.out)
    assert f"broker: the data directory {folder} is not writable for this user\n" == said.err


# --- serving --------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def serving(*arguments, log, port, **environ):
    """
    `broker serve` as a process, until it answers.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker", "serve", *map(str, arguments)],
            stdout=output,
            stderr=output,
            env={**kept, **environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=log.parent,
        )
    try:
        deadline = time.monotonic() + 30
        while ask(port, "/healthz")[0] != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def ask(port, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.e2e
def test_workers_serve_with_a_settings_file_that_names_another_data_directory(cli, tmp_path, port):
    """
    One file elsewhere, two workers; the log has a line for each request, and the key of a request nowhere (T35).
    """
    folder, log = tmp_path / "elsewhere", tmp_path / "log"
    made = cli("init", "--issuer", "https://broker.example.com/", "--data-dir", folder)
    key = re.search(r"pcb_\w+", made.out)[0]
    (folder / "broker.toml").rename(tmp_path / "site.toml")
    with (tmp_path / "site.toml").open("a") as file:
        file.write(f'data_dir = "{folder}"\nworkers = 2\nlog_level = "debug"\n')
    (tmp_path / "site.toml").write_text((tmp_path / "site.toml").read_text().replace("8080", str(port)))

    with serving("--settings", "site.toml", log=log, port=port) as process:
        answers = [ask(port, "/__api__/v1/user?key=canary", {"Authorization": f"Key {key}"}) for _ in range(4)]
        wrong = ask(port, "/__api__/v1/user", {"Authorization": f"Key {key}x"})
        process.send_signal(signal.SIGTERM)
        process.wait(20)

    text = log.read_text()
    assert [200] * 4 == [status for status, _ in answers]
    assert 401 == wrong[0]
    assert 4 == text.count("GET /__api__/v1/user 200")
    assert [] == [secret for secret in (key, key[-12:], "canary") if secret in text]
    assert "Traceback" not in text
    assert not (tmp_path / "broker.db").exists()
