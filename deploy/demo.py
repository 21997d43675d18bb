"""
The main job, told as a story: a broker, two Package Managers, two owners, and package clients that know nothing of it.

Everything here is the real thing: `broker` processes on loopback, the machine's own pip, uv and R, real HTTP. Each step
says what it does and checks what came of it; the exit code is 0 only if all of them did what they say.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.emulator import samples

BIN = Path(sys.executable).parent
PUBLIC = "six"
PRIVATE = "research-tools"
R_PACKAGE = "labtools"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StepFailed(Exception):
    """A step did not do what it says."""


def main() -> int:
    """Tell the story and return the exit code."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--keep", action="store_true", help="leave everything running and print how to play with it")
    keep = options.parse_args().keep
    began = time.monotonic()
    with ExitStack() as stack:
        try:
            stage = Stage.set_up(stack)
            tell_the_story(stage)
        except (StepFailed, subprocess.CalledProcessError, OSError) as fault:
            print(f"\nFAILED: {fault}")
            return 1
        print(f"\nEverything did what it says ({time.monotonic() - began:.0f} s).")
        if keep:
            wait_for_the_reader(stage)
    return 0


# --- the stage ------------------------------------------------------------------------------------------------------
@dataclass
class PackageManager:
    """One emulator process."""

    url: str
    log: Path

    def requests(self) -> list[dict[str, Any]]:
        """Return what it was asked, the oldest first."""
        found = ask("GET", f"{self.url}/__control__/log")
        return list(found["requests"])

    def forget(self) -> None:
        """Empty its log in memory."""
        ask("DELETE", f"{self.url}/__control__/log")


@dataclass
class Stage:
    """The running servers and the people."""

    folder: Path
    broker: str
    admin_key: str
    main: PackageManager
    second: PackageManager
    has_r: bool
    people: dict[str, str] = field(default_factory=dict)
    group: str = ""

    @classmethod
    def set_up(cls, stack: ExitStack) -> "Stage":
        """Start a broker and two Package Managers as processes on loopback, on two hosts: 127.0.0.1 and 127.0.0.2."""
        headline("Setting the stage")
        folder = Path(tempfile.mkdtemp(prefix="broker-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port = free_port("127.0.0.1")
        broker = f"http://127.0.0.1:{port}"
        said = run_broker(
            "init", "--issuer", f"{broker}/", "--data-dir", folder / "broker", "--port", port,
            "--allow-cleartext", "--allow-loopback",
        )  # fmt: skip
        key = re.search(r"pcb_[0-9A-Za-z]{49}", said)
        if key is None:
            raise StepFailed("broker init printed no API key")
        gcfg = folder / "rstudio-pm.gcfg"
        gcfg.write_text(run_broker("federation-config", "--data-dir", folder / "broker"))
        start(stack, folder / "broker.log", "serve", "--data-dir", folder / "broker")
        wait_for(f"{broker}/healthz", folder / "broker.log")
        has_r = shutil.which("Rscript") is not None
        fill_repositories(folder, has_r=has_r)
        main_pm = start_package_manager(stack, folder, gcfg, "main", "127.0.0.1")
        second_pm = start_package_manager(stack, folder, gcfg, "second", "127.0.0.2")
        say(f"the broker is the issuer {broker}/")
        say("each Package Manager trusts it by this section of its rstudio-pm.gcfg (broker federation-config):")
        quote(gcfg.read_text())
        say(f"Package Manager 1 {main_pm.url}  repositories: pypi{', cran' if has_r else ''}")
        say(f"Package Manager 2 {second_pm.url}  repositories: research")
        return cls(folder, broker, key[0], main_pm, second_pm, has_r)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the administration as the first administrator."""
        return ask(method, f"{self.broker}/__api__/v1{path}", body, key=self.admin_key)

    def run(self, owner: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command as one build of this owner, as a build system would."""
        environ = {
            **plain_environment(self.folder),
            "BROKER_SERVER": self.broker,
            "BROKER_API_KEY": self.admin_key,
        }
        words = ["run", "--owner", owner, "--", *map(str, command)]
        print(f"  $ broker {' '.join(short(word) for word in words)}")
        done = subprocess.run(
            [BIN / "broker", *words], env=environ, text=True, capture_output=True, timeout=180, check=False
        )
        quote("\n".join(line for line in done.stderr.splitlines() if line.startswith(("broker:", "ERROR:"))))
        return done


def fill_repositories(folder: Path, *, has_r: bool) -> None:
    """Put packages where the emulators look for them: real ones where there is a network, self-made ones otherwise."""
    pypi = folder / "main" / "pypi"
    pypi.mkdir(parents=True)
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", pypi, PUBLIC],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    if fetched.returncode != 0:
        say(f"no network: a self-made package stands in for {PUBLIC}")
        samples.make_wheel(pypi, PUBLIC, "1.0")
    research = folder / "second" / "research"
    research.mkdir(parents=True)
    samples.make_wheel(research, PRIVATE, "1.0")
    if has_r:
        cran = folder / "main" / "cran"
        cran.mkdir()
        samples.make_r_package(cran, R_PACKAGE, "1.0")


# --- the story ------------------------------------------------------------------------------------------------------
def tell_the_story(stage: Stage) -> None:
    """Set up people and integrations, then build as alice and as bob."""
    set_up_access(stage)
    alice_builds(stage)
    bob_is_refused(stage)
    headline("The group gets bob: his next build works")
    stage.api("POST", f"/groups/{stage.group}/members", {"user_guid": stage.people["bob"]})
    bob_succeeds(stage)
    headline("bob is removed from the group: his next build fails again")
    stage.api("DELETE", f"/groups/{stage.group}/members/{stage.people['bob']}")
    bob_fails(stage)
    what_the_broker_logged(stage)
    nothing_stays_behind(stage)


def set_up_access(stage: Stage) -> None:
    """Create two publishers, a group and three integrations over the administration's API."""
    headline("The administrator says who may use what")
    for name in ("alice", "bob"):
        made = stage.api("POST", "/users", {"username": name, "user_role": "publisher", "email": f"{name}@example.com"})
        stage.people[name] = made["guid"]
    stage.group = stage.api("POST", "/groups", {"name": "analysts"})["guid"]
    stage.api("POST", f"/groups/{stage.group}/members", {"user_guid": stage.people["alice"]})
    say("users alice and bob (publishers); group analysts: alice")
    integrations = (
        ("Python packages", stage.main.url, "repos:read:pypi", []),
        ("R packages", stage.main.url, "repos:read:cran", []),
        ("Research packages", stage.second.url, "repos:read:research", [{"group_guid": stage.group}]),
    )
    for name, url, scopes, permissions in integrations:
        made = stage.api(
            "POST",
            "/oauth/integrations",
            {
                "template": "ppm",
                "name": name,
                "config": {"ppm_url": url, "scopes": scopes},
                "permissions": permissions,
            },
        )
        who = "the group analysts" if permissions else "every publisher"
        check(made["access"] == ("restricted" if permissions else "everyone"), f"{name} admits {who}")
        say(f"integration {name!r}: {scopes} at {url}, for {who}")


def alice_builds(stage: Stage) -> None:
    """Show the credentials of a build, then install with each client."""
    headline("alice's build: what was asked and what came of it")
    opened = stage.api("POST", "/builds", {"owner_username": "alice"})
    check(len(opened["credentials"]) == 2, "three integrations on two hosts give two credentials")
    say("POST /__api__/v1/builds {'owner_username': 'alice'} answers, tokens masked here:")
    quote(re.sub(r"(password )\S+", r"\1********", opened["netrc"]))
    merged = opened["credentials"][0]
    check(len(merged["integrations"]) == 2, "the two integrations of one host share one entry")
    say(f"the two integrations on {merged['machine']} were merged into one entry: {', '.join(merged['scopes'])}")
    stage.api("DELETE", f"/builds/{opened['guid']}")
    claims = next(r["claims"] for r in stage.main.requests() if r.get("claims"))
    say(f"the assertion that Package Manager 1 accepted said (valid for {claims['exp'] - claims['iat']} s):")
    quote(json.dumps(claims, indent=2))

    headline("alice installs with uv, pip and R: no configuration, no credentials on the command line")
    for manager in (stage.main, stage.second):
        manager.forget()
    main_index, second_index = f"{stage.main.url}/pypi/latest/simple/", f"{stage.second.url}/research/latest/simple/"
    target = stage.folder / "installed"
    with_uv = stage.run(
        "alice",
        BIN / "uv",
        "pip",
        "install",
        "--quiet",
        "--target",
        target / "uv",
        "--default-index",
        main_index,
        PUBLIC,
    )
    must_succeed(with_uv, target / "uv" / "six.py")
    with_pip = stage.run(
        "alice", sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target / "pip",
        "--index-url", second_index, PRIVATE,
    )  # fmt: skip
    must_succeed(with_pip, target / "pip" / PRIVATE.replace("-", "_"))
    if stage.has_r:
        library = target / "r"
        library.mkdir()
        code = (
            f'install.packages("{R_PACKAGE}", lib = "{library}", repos = "{stage.main.url}/cran/latest", quiet = TRUE)'
        )
        must_succeed(stage.run("alice", "Rscript", "-e", code), library / R_PACKAGE)
    else:
        say("R is not installed here: its step is left out")
    show_log("Package Manager 1", stage.main)
    show_log("Package Manager 2", stage.second)


def bob_is_refused(stage: Stage) -> None:
    """Show the reason in the API and the 401 in the client."""
    headline("bob's build: not in the group")
    opened = stage.api("POST", "/builds", {"owner_username": "bob"})
    reasons = [(skipped["name"], skipped["reason"]) for skipped in opened["skipped"]]
    check(reasons == [("Research packages", "not_in_access_list")], "the answer names the integration and the reason")
    say(f"skipped: {opened['skipped'][0]['detail']}")
    stage.api("DELETE", f"/builds/{opened['guid']}")
    bob_fails(stage)


def bob_fails(stage: Stage) -> None:
    """Bob's pip gets no package from the restricted repository, and the log says why."""
    done = install_as_bob(stage)
    check(done.returncode != 0, "pip fails for bob")
    check("not_in_access_list" in done.stderr, "the build's output names the reason")
    refused = [r for r in stage.second.requests() if r["path"].startswith("/research/")]
    check(bool(refused) and {401} == {r["status"] for r in refused}, "Package Manager 2 answered 401")
    show_log("Package Manager 2", stage.second)


def bob_succeeds(stage: Stage) -> None:
    """Bob's pip gets the package."""
    done = install_as_bob(stage)
    must_succeed(done, stage.folder / "installed" / "bob" / PRIVATE.replace("-", "_"))
    show_log("Package Manager 2", stage.second)


def install_as_bob(stage: Stage) -> subprocess.CompletedProcess[str]:
    """Run pip as a build of bob against the restricted repository."""
    stage.second.forget()
    target = stage.folder / "installed" / "bob"
    shutil.rmtree(target, ignore_errors=True)
    return stage.run(
        "bob", sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target,
        "--index-url", f"{stage.second.url}/research/latest/simple/", PRIVATE,
    )  # fmt: skip


def what_the_broker_logged(stage: Stage) -> None:
    """Show the broker's access log of the builds, and the audit of the last one."""
    headline("What the broker kept")
    lines = [line for line in (stage.folder / "broker.log").read_text().splitlines() if "/v1/builds" in line]
    say("the last lines of its access log:")
    quote("\n".join(line.partition("broker.access ")[2] for line in lines[-4:]))
    with closing(sqlite3.connect(stage.folder / "broker" / "broker.db")) as database:
        rows = database.execute("SELECT action, outcome, detail FROM audit ORDER BY seq DESC LIMIT 3").fetchall()
    say("the end of its audit:")
    quote("\n".join(f"{action} {outcome} {detail[:150]}…" for action, outcome, detail in reversed(rows)))


def nothing_stays_behind(stage: Stage) -> None:
    """Look for tokens in everything that the demo wrote."""
    headline("Nothing stays behind")
    start_of_a_jwt = b"eyJhbGci"
    leaks = [path for path in stage.folder.rglob("*") if path.is_file() and start_of_a_jwt in path.read_bytes()]
    check(not leaks, f"no token lies in the logs, the database or the installed files ({leaks})")
    run_root = stage.folder / "run"
    check(not list(run_root.rglob("netrc")), "no netrc is left where builds ran")
    say("no token in the logs, in the database (only SHA-256 there) or in what was installed; no netrc is left")


# --- tools ----------------------------------------------------------------------------------------------------------
def headline(text: str) -> None:
    """Begin a chapter."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def say(text: str) -> None:
    """Tell a fact."""
    print(f"  {text}", flush=True)


def quote(text: str) -> None:
    """Show what a program said or a file holds."""
    print("\n".join(f"      {line}" for line in text.rstrip().splitlines()), flush=True)


def short(word: str) -> str:
    """Return a word of a command line as a reader wants to see it."""
    name = re.sub(rf"^{re.escape(str(BIN))}/", "", word)
    return f"'{name}'" if " " in name else re.sub(r"/tmp/broker-demo-\w+", "$DEMO", name)


def check(true: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Hold the demo to its word."""
    if not true:
        raise StepFailed(f"expected: {what}")


def must_succeed(done: subprocess.CompletedProcess[str], made: Path) -> None:
    """Check that a build succeeded and installed something."""
    if done.returncode != 0 or not made.exists():
        quote(done.stdout)
        raise StepFailed(f"the command should have installed {made.name} (exit code {done.returncode})")
    say(f"installed {made.name}")


def show_log(name: str, manager: PackageManager) -> None:
    """Show what a Package Manager logged since it was last asked to forget."""
    say(f"{name} logged:")
    quote("\n".join(f"{r['method']:4} {r['path']} {r['status']} user={r['user']}" for r in manager.requests()))


def ask(method: str, url: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
    """Send a JSON request; nothing of the machine's proxies or netrc takes part."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Key {key}"} if key else {})}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with OPENER.open(request, timeout=30) as answer:
            text = answer.read()
    except urllib.error.HTTPError as fault:
        raise StepFailed(f"{method} {url}: {fault.code} {fault.read().decode(errors='replace')[:300]}") from None
    return json.loads(text) if text else None


def plain_environment(folder: Path) -> dict[str, str]:
    """Return an environment without this machine's package settings, so that only the build's credentials count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "BROKER_", "R_"))}
    run_root = folder / "run"
    run_root.mkdir(mode=0o700, exist_ok=True)
    return {
        **kept,
        "HOME": str(folder / "home"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "BROKER_RUN_DIR": str(run_root),
    }


def run_broker(*words: object) -> str:
    """Run a command of the broker that ends by itself."""
    done = subprocess.run(
        [BIN / "broker", *map(str, words)], env=plain_environment_for_servers(), text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise StepFailed(f"broker {words[0]}: {done.stderr.strip()}")
    return done.stdout


def plain_environment_for_servers() -> dict[str, str]:
    """Return an environment in which no setting of this machine's user reaches the demo's servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}


def start_package_manager(stack: ExitStack, folder: Path, gcfg: Path, name: str, host: str) -> PackageManager:
    """Start one emulator and wait until it answers."""
    port, log = free_port(host), folder / f"{name}.log"
    start(
        stack,
        log,
        "emulator",
        "--config",
        gcfg,
        "--packages",
        folder / name,
        "--host",
        host,
        "--port",
        port,
        "--control",
    )
    url = f"http://{host}:{port}"
    wait_for(f"{url}/__api__/status", log)
    return PackageManager(url, log)


def start(stack: ExitStack, log: Path, *words: object) -> None:
    """Start a server of the broker that runs until the demo ends."""
    stack.enter_context(server(log, *words))


@contextmanager
def server(log: Path, *words: object) -> Iterator[None]:
    """Run a server; its output goes to a file."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [BIN / "broker", *map(str, words)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=plain_environment_for_servers(),
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, log: Path) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with OPENER.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise StepFailed(f"{url} does not answer; its log says: {log.read_text(errors='replace')[-500:]}")


def free_port(host: str) -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def wait_for_the_reader(stage: Stage) -> None:
    """Leave everything running until Ctrl-C."""
    print(
        f"""
Still running; Ctrl-C ends it. To play:
  export BROKER_SERVER={stage.broker} BROKER_API_KEY={stage.admin_key}
  {BIN}/broker run --owner alice -- curl -s {stage.main.url}/pypi/latest/simple/
  {BIN}/broker run --owner bob -- curl -s {stage.second.url}/research/latest/simple/
  curl -s -H "Authorization: Key $BROKER_API_KEY" $BROKER_SERVER/__api__/v1/oauth/integrations
  curl -s $BROKER_SERVER/.well-known/openid-configuration
Logs: {stage.folder}/*.log""",
        flush=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
