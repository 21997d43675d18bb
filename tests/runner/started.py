"""
`broker run` as a process of its own, for what cannot be tried in the test's process: being killed.

python -m tests.runner.started '{"server_url": …, "command": […], …}'; the API key comes in BROKER_API_KEY, as to the
real command. "terminal" names a terminal to take as the controlling one, "user" a user id to become.
"""

import ctypes
import json
import os
import signal
import sys

from broker.domain.secrets import Secret
from broker.errors import BrokerError
from broker.runner.request import RunRequest
from broker.runner.run import exit_code, run_build


def take_terminal(path):
    # The leader of a session without a terminal takes the first one that it opens as the controlling one.
    terminal = os.open(path, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(terminal, fd)


def become(user):
    "".encode("idna")  # loaded late by sockets, when this Python's library may not be readable any more
    os.setuid(user)
    # setuid(2) closed /proc/PID to this user; a process that was started by the user has it open (PR_SET_DUMPABLE).
    ctypes.CDLL(None).prctl(4, *map(ctypes.c_ulong, (1, 0, 0, 0)))


def main():
    # Tests that run in a shell's background inherit these as ignored, and what is ignored is not passed on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    told = json.loads(sys.argv[1])
    if "terminal" in told:
        take_terminal(told.pop("terminal"))
    if "user" in told:
        become(told.pop("user"))
    request = RunRequest(**{**told, "command": tuple(told["command"]), "api_key": Secret(os.environ["BROKER_API_KEY"])})
    try:
        return run_build(request, os.environ)
    except BrokerError as fault:
        print(f"broker: {fault}", file=sys.stderr)
        return exit_code(fault)


if __name__ == "__main__":
    sys.exit(main())
