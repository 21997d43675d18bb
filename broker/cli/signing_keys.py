"""
What `broker keys` does: it works on the key file, whether or not a broker runs on it.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from broker import bootstrap, config
from broker.config import Settings
from broker.domain.signing_keys import KeyFacts, KeyState, Revocation
from broker.usecases.rotate_keys import RotateKeys

EXIT_FAULT = 1


def list_keys(data_dir: Path | None, file: Path | None, *, as_json: bool) -> None:
    """Print a table, or a JSON array. Raises SettingsFault, NotInitialised, FileFault."""
    with _opened(data_dir, file) as (_, keys):
        rows = [_row(key) for key in keys.list()]
    print(json.dumps(rows, indent=2)) if as_json else _print_table(rows)


def show(kid: str, data_dir: Path | None, file: Path | None, *, as_json: bool) -> None:
    """Print a public key as PEM or JWK. Raises SettingsFault, NotInitialised, FileFault, NotFound."""
    with _opened(data_dir, file) as (_, keys):
        key = keys.get(kid)
    print(json.dumps(dict(key.jwk), indent=2) if as_json else key.pem.rstrip())


def rotate(algorithm: str | None, data_dir: Path | None, file: Path | None) -> None:
    """
    Publish successors and print when they begin.

    Raises SettingsFault, NotInitialised, FileFault, InvalidParameter, RecordUnavailable.
    """
    with _opened(data_dir, file) as (_, keys):
        waiting = keys.rotate(algorithm)
    for key in waiting:
        print(f"{key.kid} ({key.algorithm}) is published and signs from {_instant(key.signs_from)}.")


def revoke(kids: Sequence[str], data_dir: Path | None, file: Path | None, *, yes: bool) -> int:
    """
    Revoke keys after a question, and print until when verifiers may accept them. Return the exit code.

    Raises SettingsFault, NotInitialised, FileFault, NotFound.
    """
    with _opened(data_dir, file) as (settings, keys):
        for kid in kids:
            keys.get(kid)
        if not yes and not typer.confirm(_question(kids), err=True):
            print("broker: nothing was changed", file=sys.stderr)
            return EXIT_FAULT
        revocation = keys.revoke(kids)
    _tell(kids, revocation, settings)
    if revocation.recorded:
        return 0
    print("broker: the revocation is done but not in the audit, which cannot be written now", file=sys.stderr)
    return EXIT_FAULT


@contextmanager
def _opened(data_dir: Path | None, file: Path | None) -> Iterator[tuple[Settings, RotateKeys]]:
    settings = config.load(os.environ, data_dir=data_dir, file=file)
    bootstrap.must_be_initialised(settings)
    with bootstrap.open_signing_keys(settings) as keys:
        yield settings, keys


def _question(kids: Sequence[str]) -> str:
    return (
        "Builds may be refused until Package Managers have fetched the keys again; a revoked key does not come back.\n"
        f"Revoke {', '.join(kids)}?"
    )


def _tell(kids: Iterable[str], revocation: Revocation, settings: Settings) -> None:
    followed = revocation.time + timedelta(seconds=settings.key_check_interval)
    accepted = followed + timedelta(seconds=settings.jwks_max_age)
    for kid in kids:
        print(f"{kid} is revoked.")
    for key in revocation.keys:
        if key.state is KeyState.SIGNING:
            print(f"{key.kid} ({key.algorithm}) signs now.")
    print(f"A broker that runs follows by {_instant(followed)}.")
    print(f"Verifiers may accept what was signed with a revoked key until {_instant(accepted)};")
    print("those that keep keys for longer than they are told, until they are restarted.")


def _print_table(rows: Iterable[dict[str, str | None]]) -> None:
    lines = [tuple(name.replace("_", " ") for name in _COLUMNS)]
    lines += [tuple(row[name] or "-" for name in _COLUMNS) for row in rows]
    widths = [max(len(text) for text in column) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


_COLUMNS = ("kid", "algorithm", "state", "created", "signs_from", "signs_until", "forgotten_at")


def _row(key: KeyFacts) -> dict[str, str | None]:
    instants = (key.created, key.signs_from, key.signs_until, key.forgotten_at)
    texts = [None if instant is None else _instant(instant) for instant in instants]
    return dict(zip(_COLUMNS, (key.kid, key.algorithm, key.state.value, *texts), strict=True))


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
