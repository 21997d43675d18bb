"""
The road of `broker run`, step by step.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from broker.errors import BrokerError, BuildFilesFault, CredentialsIncomplete, RunFault
from broker.runner import commands, environment, process, removal
from broker.runner.answers import Build
from broker.runner.client import BuildApi
from broker.runner.contents import contents
from broker.runner.files import BuildDirectory, create
from broker.runner.guard import guarded
from broker.runner.report import Report
from broker.runner.request import RunRequest
from broker.runner.root import Root, open_root
from broker.runner.signals import HeldSignals, Stopped, held

OWN_FAULT = 125
"""Exit code when `broker run` itself failed and the command was not started, as with env and timeout."""


def exit_code(fault: BrokerError) -> int:
    """Return the exit code for a fault of run_build: 127 command not found, 126 not executable, else 125."""
    code = (fault.payload or {}).get("exit_code")
    return code if isinstance(code, int) else OWN_FAULT


def run_build(
    request: RunRequest,
    environ: Mapping[str, str],
    *,
    stderr: TextIO | None = None,
    unguessable: Callable[[], str] = lambda: os.urandom(16).hex(),
) -> int:
    """
    Run the command of `request` as one build and return its exit code (128 + n if signal n ended it).

    Whatever happens, the files are gone when this returns or raises. `unguessable` gives 32 hex digits.
    Raises RunFault if the command was not started; `exit_code` turns that into a number.
    """
    report = Report(sys.stderr if stderr is None else stderr, quiet=request.quiet)
    try:
        with held() as signals, guarded():
            return _run(request, environ, report, signals, unguessable)
    except Stopped as stopped:
        report.warn(f"stopped by {stopped.name} before the command was started")
        return stopped.code


def _run(
    request: RunRequest,
    environ: Mapping[str, str],
    report: Report,
    signals: HeldSignals,
    unguessable: Callable[[], str],
) -> int:
    commands.find(request.command[0], environ)  # 1  before a token is made for nothing
    with open_root(request.runtime_root, environ) as root:
        _sweep(root, report)  # 2
        api = BuildApi(request.address, request.api_key, ca_file=request.ca_file)
        with signals.heard():
            build = api.open_build(request.body())  # 3
        with _finished(api, build, report):  # 8
            _announce(build, environ, report)  # 4
            _check_complete(request, build)
            with _written(create(root, unguessable()), build, environ, report) as directory:  # 5, 7
                return _run_command(request, environ, directory, report, signals)  # 6


def _sweep(root: Root, report: Report) -> None:
    try:
        for sentence in removal.sweep(root):
            report.warn(sentence)
    except (OSError, BuildFilesFault) as fault:
        report.warn(f"left-over build directories were not looked for: {fault}")


def _announce(build: Build, environ: Mapping[str, str], report: Report) -> None:
    report.build(build)
    for sentence in environment.warnings_about(environ, build.credentials):
        report.warn(sentence)
    if environment.hides_a_netrc(environ):
        report.say("your own netrc is not read during the build; its entries for other hosts have no effect")


def _check_complete(request: RunRequest, build: Build) -> None:
    if not request.require_all or (build.credentials and not build.problems):
        return
    what = f"{len(build.problems)} problem(s)" if build.problems else "no credentials"
    raise CredentialsIncomplete(
        f"the command was not started: there are {what} (see above), and every credential was required"
    )


@contextmanager
def _finished(api: BuildApi, build: Build, report: Report) -> Iterator[None]:
    """Tell the broker at the end; it would find out by itself at the build's expiry, so a failure is a remark."""
    try:
        yield
    finally:
        try:
            api.finish_build(build.guid)
        except RunFault as fault:
            report.warn(f"the build could not be finished, it ends by itself at its expiry: {fault}")


@contextmanager
def _written(
    directory: BuildDirectory, build: Build, environ: Mapping[str, str], report: Report
) -> Iterator[BuildDirectory]:
    try:
        directory.write(contents(directory.path, build, environ))
        yield directory
    finally:
        for sentence in directory.remove():
            report.warn(sentence)


def _run_command(
    request: RunRequest, environ: Mapping[str, str], directory: BuildDirectory, report: Report, signals: HeldSignals
) -> int:
    wget = directory.path / "bin" / "wget"
    if wget.exists() and not os.access(wget, os.X_OK):
        report.warn(
            "wget gets no credentials: programs in the build directory cannot be executed (noexec); --runtime-dir"
        )
    child = environment.child_environment(environ, directory.path, request.api_key, has_wget=wget.exists())
    signals.check()
    outcome = process.run(request.command, commands.find(request.command[0], child), child, signals)
    if outcome.survivors:
        report.warn(f"{outcome.survivors} process(es) of the command could not be ended; their credentials are gone")
    return outcome.code
