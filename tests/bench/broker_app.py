"""
The real application with one other part: the exchange is answered in process, so that only the broker is measured.
"""

import json
import logging
import os
import shutil
import tempfile
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker import bootstrap, config
from broker.domain.package_manager import RepositoryToken
from broker.domain.secrets import Secret
from broker.storage.engine import open_engine
from broker.storage.writer import GroupCommitWriter
from broker.system.clock import SystemClock
from broker.system.ids import SystemIds
from broker.usecases.road import Act
from broker.web.app import create_app
from keys import Algorithm
from keys.backends.file import FileKeyStore

FOLDER = "BENCH_FOLDER"


def _segment(value):
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class InProcess:
    """A Package Manager that answers at once with a token of realistic length."""

    def __init__(self):
        expires = datetime.now(UTC) + timedelta(hours=1)
        payload = {"iss": "packagemanager", "sub": "x", "exp": int(expires.timestamp()), "pad": "p" * 300}
        token = f"{_segment({'alg': 'RS256'})}.{_segment(payload)}.{'s' * 342}"
        self._token = RepositoryToken(Secret(token), expires)

    async def exchange(self, _url, _assertion):
        return self._token


@contextmanager
def data_folder(algorithm, hosts):
    """
    Set up a broker with one publisher and one integration on each of so many hosts; yield the folder and an API key.
    """
    folder = Path(tempfile.mkdtemp(prefix="broker-bench-"))
    try:
        settings = config.check(
            {
                "issuer": "https://broker.example.com/",
                "data_dir": folder / "broker",
                "signing_algorithms": list(dict.fromkeys([algorithm, "RS256"])),
            }
        )
        (folder / "settings.json").write_text(settings.model_dump_json())
        bootstrap.prepare(settings)
        key = bootstrap.initialise(settings, "admin")
        with services(settings) as found:
            populate(found, key, hosts)
        yield folder, key
    finally:
        shutil.rmtree(folder)


@contextmanager
def services(settings):
    """
    Put the broker's parts together outside a server.
    """
    engine = open_engine(settings.storage_url)
    writer = GroupCommitWriter(engine)
    ring = FileKeyStore(settings.key_file).ensure(
        [Algorithm(a) for a in settings.signing_algorithms], datetime.now(UTC)
    )
    try:
        yield bootstrap.assemble(settings, engine, writer, ring, InProcess(), SystemClock(), SystemIds())
    finally:
        writer.close()
        engine.dispose()


def populate(found, key, hosts):
    act = administrator(found, key)
    found.people.create_user(act, user_fields("alice"))
    for number in range(hosts):
        found.integrations.create(act, integration(f"https://packages-{number}.example.com"))


def administrator(found, key):
    from broker.domain.callers import identify  # noqa: PLC0415 - only the set-up needs it

    return Act(identify(found.policy.current(), key.sha256(), datetime.now(UTC)), "bench")


def user_fields(name):
    from broker.domain.identity import Role  # noqa: PLC0415 - as above
    from broker.usecases.manage_people import UserFields  # noqa: PLC0415 - as above

    return UserFields(username=name, role=Role.PUBLISHER, email=f"{name}@example.com")


def integration(url, *, principals=None, scopes="repos:read:*"):
    from broker.usecases.manage_integrations import NewIntegration  # noqa: PLC0415 - as above

    return NewIntegration(url, "", {"ppm_url": url, "scopes": scopes}, None, principals)


def create():
    """
    The factory that the server's workers load.
    """
    settings = config.Settings.model_validate_json((Path(os.environ[FOLDER]) / "settings.json").read_text())
    # The access log costs what it costs, only nobody reads it here.
    logging.basicConfig(level=logging.INFO, filename=os.devnull)

    @asynccontextmanager
    async def open_services(_settings):
        import gc  # noqa: PLC0415 - as the real one does it

        with services(settings) as found:
            gc.freeze()
            yield found

    return create_app(settings, open_services, bootstrap.correlation_ids())
