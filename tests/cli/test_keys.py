"""
`broker keys`: what it shows, what it changes, and what it says about both.
"""

import io
import json
import re
import sqlite3
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keys.backends.file import FileKeyStore

INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def keys(cli, initialised):
    """
    Run `broker keys …` on a broker that has been set up.
    """

    def run(*words, **environ):
        return cli("keys", *words, BROKER_DATA_DIR=initialised, **environ)

    return run


@pytest.fixture
def stored(initialised):
    """
    Return what is in the key file now.
    """
    return lambda: FileKeyStore(initialised / "signing-keys.json").load().keys


def listed(keys):
    return json.loads(keys("list", "--json").out)


def actions(folder):
    with closing(sqlite3.connect(folder / "broker.db")) as database:
        return [tuple(row) for row in database.execute("SELECT actor, action, target FROM audit ORDER BY seq")][1:]


# --- looking ----------------------------------------------------------------------------------------------------------
def test_the_list_has_a_line_for_each_key_with_its_state_and_its_instants(keys, stored):
    head, line = keys("list").out.splitlines()

    assert head.startswith("kid ")
    assert ["algorithm", "state", "created", "signs from", "signs until", "forgotten at"] == re.split(r"  +", head)[1:]
    assert re.fullmatch(rf"{stored()[0].kid}  RS256 +signing  {INSTANT}  {INSTANT}  - +-", line)


def test_the_list_is_there_for_machines_as_well(keys, stored):
    (row,) = listed(keys)

    assert ["kid", "algorithm", "state", "created", "signs_from", "signs_until", "forgotten_at"] == list(row)
    assert (stored()[0].kid, "RS256", "signing", None, None) == (
        row["kid"],
        row["algorithm"],
        row["state"],
        row["signs_until"],
        row["forgotten_at"],
    )
    assert re.fullmatch(INSTANT, row["created"])


def test_a_key_is_shown_as_pem_or_as_jwk_and_never_its_private_half(keys, stored):
    """
    (T35)
    """
    (key,) = stored()
    pem, jwk = keys("show", key.kid), keys("show", key.kid, "--json")

    assert key.private_key().public_key() == load_pem_public_key(pem.out.encode())
    assert dict(key.jwk()) == json.loads(jwk.out)
    assert "PRIVATE" not in pem.out


@pytest.mark.parametrize("command", ["show", "revoke"])
@pytest.mark.parametrize("kid", ["nonsense", "-hyphens-are-base64url", "--yess", ""])
def test_an_unknown_key_is_told(keys, command, kid):
    said = keys(command, kid)

    assert (1, "") == (said.code, said.out)
    assert "there is no signing key" in said.err


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["rotate"], ["revoke", "x", "--yes"]])
def test_without_a_broker_there_is_nothing_to_look_at(cli, folder, command):
    said = cli("keys", *command, BROKER_DATA_DIR=folder)

    assert (1, "") == (said.code, said.out)
    assert "broker init" in said.err
    assert not folder.exists()


def test_a_key_file_that_others_can_read_is_refused_with_the_remedy(keys, initialised):
    """
    (T47)
    """
    (initialised / "signing-keys.json").chmod(0o644)

    for command in (["list"], ["rotate"]):
        said = keys(*command)
        assert (1, "") == (said.code, said.out)
        assert "chmod 600" in said.err


# --- changing ---------------------------------------------------------------------------------------------------------
def test_a_rotation_says_from_when_the_successor_signs(keys, stored, initialised):
    (old,) = stored()

    said = keys("rotate")

    (_, new) = stored()
    assert 0 == said.code
    assert re.fullmatch(rf"{new.kid} \(RS256\) is published and signs from {INSTANT}\.\n", said.out)
    assert ["signing", "waiting"] == [row["state"] for row in listed(keys)]
    assert [
        ("operator", "signing_key.rescheduled", old.kid),
        ("operator", "signing_key.published", new.kid),
    ] == actions(initialised)


def test_a_second_rotation_names_the_successor_that_waits_already(keys, stored):
    first = keys("rotate").out

    assert first == keys("rotate", "--algorithm", "RS256").out
    assert 2 == len(stored())


def test_an_algorithm_that_is_not_in_the_settings_is_told(keys, stored):
    said = keys("rotate", "--algorithm", "ES256")

    assert (1, "") == (said.code, said.out)
    assert "ES256 is not among the signing_algorithms of the settings: RS256" in said.err
    assert 1 == len(stored())


def test_a_revocation_says_what_signs_now_and_until_when_verifiers_may_accept_the_key(keys, stored, initialised):
    (leaked,) = stored()

    said = keys("revoke", leaked.kid, "--yes", BROKER_JWKS_MAX_AGE="600")

    (new,) = stored()
    assert 0 == said.code
    assert f"{leaked.kid} is revoked." in said.out
    assert f"{new.kid} (RS256) signs now." in said.out
    follows, accepted = re.findall(rf"(?:by|until) ({INSTANT})", said.out)
    assert follows[:16] < accepted[:16]
    assert [
        ("operator", "signing_key.revoked", leaked.kid),
        ("operator", "signing_key.published", new.kid),
    ] == actions(initialised)


def test_several_keys_are_revoked_together(keys, stored):
    keys("rotate")
    leaked = [key.kid for key in stored()]

    said = keys("revoke", *leaked, "--yes")

    assert 0 == said.code
    assert [] == [kid for kid in leaked if f"{kid} is revoked." not in said.out]
    assert [] == [key for key in stored() if key.kid in leaked]
    assert 1 == len(stored())


@pytest.mark.parametrize(("answer", "left"), [("n\n", True), ("\n", True), ("", True), ("y\n", False)])
def test_a_revocation_asks_before_it_is_done(keys, stored, monkeypatch, answer, left):
    (key,) = stored()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))

    said = keys("revoke", key.kid)

    assert left == (key.kid in [each.kid for each in stored()])
    assert left == (said.code != 0)
    assert f"Revoke {key.kid}?" in said.err


def test_a_revocation_that_cannot_be_recorded_is_done_and_says_so(keys, stored, initialised):
    """
    A leaked key signs for whoever has it; a full disk does not change that.
    """
    (leaked,) = stored()
    (initialised / "broker.db").unlink()
    (initialised / "broker.db").mkdir()

    said = keys("revoke", leaked.kid, "--yes")

    assert 1 == said.code
    assert "done but not in the audit" in said.err
    assert leaked.kid not in [key.kid for key in stored()]
