import base64
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from broker.errors import (
    BrokerRefused,
    BrokerUnreachable,
    BuildFilesFault,
    CommandNotStarted,
    CredentialsIncomplete,
)
from broker.runner.run import exit_code, run_build
from tests.fakes.build_api import API_KEY, GUID, PROBLEM, SKIPPED, TOKEN, Reply, build, credential
from tests.runner.conftest import tree


def test_the_build_finds_its_credentials_and_nothing_is_left(run, api, runtime, tmp_path):
    ran = run(f'cat "$NETRC" > {tmp_path}/seen; ls -ln "$NETRC" > {tmp_path}/mode')

    assert 0 == ran.code
    assert f"machine packages.example.com login __token__ password {TOKEN}\n" == (tmp_path / "seen").read_text()
    assert (tmp_path / "mode").read_text().startswith("-rw------- 1")
    assert [] == tree(runtime)
    assert ["POST", "DELETE"] == api.methods
    assert api.asked[1].path.endswith(GUID)


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_commands(run, code):
    assert code == run(f"exit {code}").code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_death_by_signal_is_told_as_shells_do(run, runtime, number):
    assert 128 + number == run(f"kill -{int(number)} $$").code
    assert [] == tree(runtime)


def test_what_was_granted_and_what_was_skipped_is_told_in_one_line(run, api):
    api.opening = Reply(build(credential(), skipped=[SKIPPED], skipped_total=1))

    ran = run("true")

    assert (
        f"broker: build {GUID} for alice: packages.example.com (repos:read:pypi) until 14:05Z; "
        'skipped "Restricted R" (not_in_access_list: alice is in no group of the access list)\n' == ran.said
    )


def test_without_any_credential_the_build_goes_on_and_is_told_why(run, api, tmp_path):
    """The documented behaviour, and never silent: not even when quiet."""
    api.opening = Reply(build(skipped=[SKIPPED], skipped_total=1))

    ran = run(f'wc -c < "$NETRC" > {tmp_path}/size', quiet=True)

    assert 0 == ran.code
    assert "0" == (tmp_path / "size").read_text().strip()
    assert 'for alice: no credentials, so authenticated repositories will refuse it; skipped "Restricted R"' in ran.said


def test_quiet_keeps_only_what_went_wrong(run, api):
    api.opening = Reply(build(credential(), skipped=[SKIPPED], problems=[PROBLEM]))

    ran = run("true", quiet=True)

    assert (
        "broker: problem: no credential for https://slow.example.com: package_manager_timeout: no answer within 10 s "
        "(the same may succeed later)\n" == ran.said
    )


@pytest.mark.parametrize(
    "answer", [build(), build(credential(), problems=[PROBLEM]), build(problems=[PROBLEM], skipped=[SKIPPED])]
)
def test_when_every_credential_is_required_the_command_does_not_start_without(ask, api, environ, runtime, answer):
    api.opening = Reply(answer)
    request = ask("touch", str(runtime / "started"), require_all=True)

    with pytest.raises(CredentialsIncomplete, match="was not started"):
        run_build(request, environ, stderr=io.StringIO())

    assert [] == tree(runtime)
    assert ["POST", "DELETE"] == api.methods
    assert "fail" == json.loads(api.asked[0].body)["on_problem"]


def test_an_integration_that_is_not_for_the_owner_does_not_make_credentials_incomplete(run, api):
    api.opening = Reply(build(credential(), skipped=[SKIPPED]))

    assert 0 == run("true", require_all=True).code


def test_a_refusal_of_the_broker_writes_nothing(ask, api, environ, runtime):
    api.opening = Reply({"error": "alice is locked"}, 403)

    with pytest.raises(BrokerRefused, match="alice is locked") as refused:
        run_build(ask("true"), environ)

    assert 125 == exit_code(refused.value)
    assert [] == tree(runtime)


def test_a_token_that_no_netrc_carries_is_refused_before_anything_is_written(ask, api, environ, runtime, tmp_path):
    """(T45)"""
    api.opening = Reply(build(credential(password="canary\npassword x")))

    with pytest.raises(BrokerUnreachable, match="Nothing was written"):
        run_build(ask("touch", str(tmp_path / "started")), environ, stderr=io.StringIO())

    assert [] == tree(runtime)
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("./no-such", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_found_costs_no_token(ask, api, environ, command, code):
    with pytest.raises(CommandNotStarted) as refused:
        run_build(ask(command), environ)

    assert code == exit_code(refused.value)
    assert [] == api.asked


def test_a_script_without_a_first_line_is_told_and_cleaned_up(ask, api, environ, runtime, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o700)

    with pytest.raises(CommandNotStarted, match="#!/bin/sh") as refused:
        run_build(ask(str(script)), environ, stderr=io.StringIO())

    assert 126 == exit_code(refused.value)
    assert [] == tree(runtime)
    assert ["POST", "DELETE"] == api.methods


def test_a_place_that_is_not_safe_costs_no_token(ask, api, environ, runtime):
    """(T47)"""
    runtime.mkdir()
    runtime.chmod(0o777)

    with pytest.raises(BuildFilesFault, match="open to other users"):
        run_build(ask("true"), environ)

    assert [] == api.asked


@pytest.mark.parametrize("finishing", [Reply({"error": "no"}, 503), Reply(raw=b""), Reply(b"<html>", 404)])
def test_a_build_that_cannot_be_finished_is_a_remark(run, api, runtime, finishing):
    api.finishing = finishing

    ran = run("exit 3")

    assert 3 == ran.code
    assert "could not be finished, it ends by itself at its expiry" in ran.said
    assert 2 == len(ran.said.splitlines())
    assert [] == tree(runtime)


def test_a_program_that_runs_on_is_ended_before_the_files_go(run, runtime, tmp_path):
    """In its own session, ignoring SIGTERM and SIGHUP: it would read the netrc later (T47)."""
    pid, late = tmp_path / "pid", tmp_path / "late"
    watch = 'trap "" TERM HUP; echo $$ > "$1"; while sleep 0.05; do [ -e "$NETRC" ] || echo late > "$2"; done'
    ran = run(f"setsid sh -c '{watch}' x {pid} {late} & while ! [ -s {pid} ]; do sleep 0.02; done")

    assert 0 == ran.code
    assert not Path("/proc", pid.read_text().strip()).exists()
    assert not late.exists()
    assert [] == tree(runtime)


def test_a_process_that_was_there_before_is_not_ended(run):
    """`exec broker run` in a script inherits the script's children; they are not the build's."""
    before = os.posix_spawn("/bin/sleep", ["sleep", "30"], {})
    try:
        run("true")

        assert (0, 0) == os.waitpid(before, os.WNOHANG)
    finally:
        os.kill(before, signal.SIGKILL)
        os.waitpid(before, 0)


def test_neither_key_nor_token_shows_anywhere(run, api, environ, tmp_path):
    """Not in argument lists, the environment, output or the words about faults: raw, base64 or in part (T35)."""
    api.opening = Reply(build(credential(), problems=[PROBLEM], skipped=[SKIPPED]))
    api.finishing = Reply({"error": "no"}, 500)
    script = (
        f"env > {tmp_path}/env; for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $each; done > {tmp_path}/args 2>&1"
    )

    ran = run(script, variables={"OTHER": f"Key {API_KEY}"})

    shown = ran.said + (tmp_path / "env").read_text(errors="replace") + (tmp_path / "args").read_text(errors="replace")
    assert "NETRC=" in shown
    assert "sh -c" in shown
    for secret in (API_KEY, TOKEN):
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret[-12:]):
            assert form not in shown


def test_inside_another_build_the_inner_credentials_are_used(ask, api, environ, run, tmp_path):
    seen = tmp_path / "seen"
    outer = f'env > {seen}.outer; cat "$NETRC" > {seen}'
    run(outer)
    variables = dict(line.partition("=")[::2] for line in Path(f"{seen}.outer").read_text().splitlines())
    api.opening = Reply(build(credential(password="inner")))

    run_build(ask("sh", "-c", f'cat "$NETRC" > {seen}'), {**environ, **variables}, stderr=io.StringIO())

    assert "machine packages.example.com login __token__ password inner\n" == seen.read_text()


def test_a_closed_standard_error_does_not_keep_the_build_from_running(ask, environ, runtime):
    stream = io.StringIO()
    stream.close()

    assert 5 == run_build(ask("sh", "-c", "exit 5"), environ, stderr=stream)
    assert [] == tree(runtime)


def test_the_users_own_netrc_is_said_to_be_hidden(run, environ):
    Path(environ["HOME"], ".netrc").write_text("machine x login y password z\n")

    assert "your own netrc is not read" in run("true").said


def test_signals_are_handled_as_before_afterwards(run):
    before = (signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT))
    run("true")

    assert before == (signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT))


def test_the_command_inherits_the_umask_and_a_clean_signal_mask(ask, environ, tmp_path):
    """No shell in between, which would clean the mask for us."""
    script = "import os, signal, sys; open(sys.argv[1], 'w').write(f'{os.umask(0):o} {signal.pthread_sigmask(0, [])}')"
    before = os.umask(0o027)
    try:
        run_build(ask(sys.executable, "-c", script, str(tmp_path / "out")), environ, stderr=io.StringIO())
    finally:
        os.umask(before)

    assert "27 set()" == (tmp_path / "out").read_text()
