"""
`broker run` as a process: signals, a kill, a terminal, another user. Each needs a process of its own.
"""

import contextlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.fakes.build_api import API_KEY, TOKEN, Reply, build, credential
from tests.runner.conftest import tree

pytestmark = pytest.mark.e2e
REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def start(api, runtime, environ):
    """Start a runner; whatever is still there at the end is killed."""
    started = []

    def go(*command, variables=None, stdin=subprocess.DEVNULL, **told):
        usual = {"server_url": api.url, "owner_username": "alice", "runtime_root": str(runtime), "command": command}
        runner = subprocess.Popen(
            [sys.executable, "-m", "tests.runner.started", json.dumps({**usual, **told})],
            cwd=REPOSITORY,
            env={**environ, **(variables or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # no terminal, as in CI
        )
        started.append(runner)
        return runner

    yield go
    for runner in started:
        kill_session(runner.pid)
        runner.wait()
        # Not read to its end: a command whose runner was killed may hold the other end open.
        runner.stdout.close()
        runner.stderr.close()


def kill_session(leader):
    """End what a failed test left: each runner is started as the leader of a session."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if str(leader) == stat.read_text(errors="replace").rpartition(")")[2].split()[3]:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def until(condition, seconds=10):
    """Poll, with a deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def finished(runner, seconds=15):
    out, err = runner.communicate(timeout=seconds)
    return runner.returncode, out, err


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_reaches_the_command_which_decides(start, api, runtime, tmp_path, number):
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 9' {name}; touch {tmp_path}/ready; while :; do sleep 0.02; done"
    runner = start("sh", "-c", script)
    until((tmp_path / "ready").exists)

    runner.send_signal(number)

    code, out, _err = finished(runner)
    assert (9, f"got {name}\n") == (code, out)
    assert [] == tree(runtime)
    assert ["POST", "DELETE"] == api.methods


def test_a_signal_that_the_command_does_not_handle_ends_it_and_its_children(start, runtime, tmp_path):
    runner = start("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    child = until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().strip())

    runner.send_signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == finished(runner)[0]
    assert not Path("/proc", child).exists()
    assert [] == tree(runtime)


def test_a_command_that_ignores_the_signal_runs_to_its_end(start, runtime, tmp_path):
    script = f"trap '' TERM; touch {tmp_path}/ready; while [ -e {tmp_path}/ready ]; do sleep 0.02; done; exit 4"
    runner = start("sh", "-c", script)
    until((tmp_path / "ready").exists)
    runner.send_signal(signal.SIGTERM)

    (tmp_path / "ready").unlink()

    assert 4 == finished(runner)[0]
    assert [] == tree(runtime)


def test_a_hangup_that_was_ignored_from_the_start_stays_ignored(start, runtime, tmp_path):
    """That is what nohup asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        runner = start(
            "sh", "-c", f"touch {tmp_path}/ready; while [ -e {tmp_path}/ready ]; do sleep 0.02; done; exit 4"
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    until((tmp_path / "ready").exists)
    runner.send_signal(signal.SIGHUP)

    (tmp_path / "ready").unlink()

    assert 4 == finished(runner)[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_broker_is_asked_stops_at_once(start, api, runtime, number):
    api.opening = Reply(hang=True)
    runner = start("true")
    until(lambda: api.asked)

    runner.send_signal(number)

    code, _out, err = finished(runner, seconds=5)
    assert 128 + number == code
    assert f"broker: stopped by {number.name} before the command was started\n" == err
    assert [] == tree(runtime)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_leaves_nothing(start, runtime, tmp_path, number):
    """Ten times each, at moments spread from the start of Python to the middle of the command (T47)."""
    moments = random.Random(int(number))
    for _each in range(10):
        runner = start("sh", "-c", f"sleep 60 & echo $! >> {tmp_path}/children; wait")
        time.sleep(moments.uniform(0.02, 0.35))
        runner.send_signal(number)

        code, _out, _err = finished(runner)
        assert code in {128 + number, -number, 1}  # the last two: before our code ran
        assert [] == (tree(runtime) if runtime.exists() else [])

    children = (tmp_path / "children").read_text().split() if (tmp_path / "children").exists() else []
    assert [] == [child for child in children if Path("/proc", child).exists()]


def test_a_signal_during_the_clean_up_does_not_stop_it(start, api, runtime):
    """The finish hangs, so there is time to try."""
    api.finishing = Reply(hang=True)
    runner = start("true")
    until(lambda: "DELETE" in api.methods)

    runner.send_signal(signal.SIGTERM)
    runner.send_signal(signal.SIGINT)
    api.let_go.set()

    assert 0 == finished(runner)[0]
    assert [] == tree(runtime)


def test_after_a_kill_the_next_start_removes_the_dead_and_spares_the_living(start, runtime, tmp_path):
    """SIGKILL leaves no time for anything; the kernel drops the lock, and that is what the next one sees (T47)."""
    hold = f'echo "$NETRC" >> {tmp_path}/netrcs; while [ -e {tmp_path}/hold ]; do sleep 0.02; done'
    (tmp_path / "hold").touch()
    dead, living = start("sh", "-c", hold), start("sh", "-c", hold)
    until(lambda: (tmp_path / "netrcs").exists() and 2 == len((tmp_path / "netrcs").read_text().split()))
    dead.kill()
    finished_dead = dead.wait()
    left = [path for path in runtime.iterdir() if TOKEN in (path / "netrc").read_text()]

    code, _out, err = finished(start("true"))

    spared = [path for path in runtime.iterdir()]  # noqa: C416  a generator would look later
    (tmp_path / "hold").unlink()
    assert (-signal.SIGKILL, 2, 0) == (finished_dead, len(left), code)
    assert 1 == len(spared)
    removed = next(path for path in left if path not in spared)
    assert f"broker: {removed} of a killed `broker run` was removed\n" in err
    assert 0 == finished(living)[0]
    assert [] == tree(runtime)


def test_the_builds_code_cannot_read_the_key_from_the_runners_process(start):
    """
    As the same user, which for root would prove nothing, so as nobody (T35).

    The first part of PATH is closed to them, which must not end in a stack trace.
    """
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    place = Path(tempfile.mkdtemp(prefix="broker-test-"))
    os.chown(place, user, -1)
    (place / "closed").mkdir(mode=0)
    try:
        runner = start(
            *("sh", "-c", "id -u; cat /proc/$PPID/environ || echo denied"),
            user=user,
            runtime_root=str(place / "run"),
            variables={"PATH": f"{place}/closed:/usr/bin:/bin"},
        )
        code, out, err = finished(runner)
    finally:
        shutil.rmtree(place)

    assert (0, f"{user}\ndenied\n") == (code, out), err
    assert "Permission denied" in err
    assert API_KEY not in err


@pytest.fixture
def terminal():
    ours, theirs = os.openpty()
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def read_until(terminal, words):
    seen = b""
    while words not in seen:
        assert select.select([terminal], [], [], 10)[0], seen
        seen += os.read(terminal, 1000)
    return seen.decode()


def test_a_command_can_ask_questions_on_the_terminal(start, runtime, terminal):
    ours, name = terminal
    runner = start("sh", "-c", 'read answer < /dev/tty; echo "said $answer"; exit 6', terminal=name)

    os.write(ours, b"yes\n")

    read_until(ours, b"said yes")
    assert 6 == runner.wait(timeout=15)
    assert [] == tree(runtime)


COUNT_INTERRUPTS = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("ready", flush=True)
count = 0
while signal.sigtimedwait({signal.SIGINT}, 10 if count == 0 else 0.3):
    count += 1
sys.exit(count)
"""


def test_control_c_reaches_the_command_once(start, runtime, terminal):
    """The kernel tells the whole group; passing it on as well would interrupt the command's own clean-up."""
    ours, name = terminal
    runner = start(sys.executable, "-c", COUNT_INTERRUPTS, terminal=name)
    read_until(ours, b"ready")

    os.write(ours, b"\x03")

    assert 1 == runner.wait(timeout=15)
    assert [] == tree(runtime)


def test_a_signal_sent_to_the_runner_on_a_terminal_is_passed_on(start, runtime, terminal):
    ours, name = terminal
    runner = start(sys.executable, "-c", COUNT_INTERRUPTS, terminal=name)
    read_until(ours, b"ready")

    runner.send_signal(signal.SIGINT)

    assert 1 == runner.wait(timeout=15)
    assert [] == tree(runtime)


def test_nothing_heavy_is_imported(environ):
    """Start-up time is paid by every build (PERFORMANCE.md, target 8)."""
    heavy = {"httpx", "typer", "asyncio", "aiohttp", "pydantic", "sqlalchemy", "subprocess", "fastapi", "cryptography"}
    script = "import sys, broker.runner.run; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True
    ).stdout.split()

    assert set() == heavy & set(loaded)


def test_several_builds_at_once_do_not_disturb_each_other(start, api, runtime):
    api.opening = Reply(build(credential(), credential("b.example.com")))
    runners = [start("sh", "-c", 'sleep 0.1; grep -c . "$NETRC"') for _each in range(5)]

    assert {(0, "2\n")} == {finished(runner)[:2] for runner in runners}
    assert [] == tree(runtime)
