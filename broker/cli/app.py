"""
The commands of `broker` and how they fail: a sentence on stderr and an exit code, never a stack trace.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from broker.cli import keys, urls
from broker.cli.options import DataDir, SettingsFile
from broker.errors import BrokerError, SettingsFault

EXIT_FAULT = 1
EXIT_USAGE = 2
EXIT_SETTINGS = 78
"""EX_CONFIG of sysexits.h: a service manager need not restart a broker whose settings are wrong."""

app = typer.Typer(
    name="broker",
    help="An OIDC issuer and short-lived token broker for Posit Package Manager.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(keys.app, name="keys")
app.add_typer(urls.app, name="urls")


@app.command()
def init(
    issuer: Annotated[
        str, typer.Option(help="The URL under which Package Managers reach the broker, with its last slash.")
    ],
    data_dir: DataDir = None,
    administrator: Annotated[str, typer.Option(help="User name of the first administrator.")] = "admin",
    allow_cleartext: Annotated[bool, typer.Option(help="Permit http:// Package Managers (for trying out).")] = False,
    allow_loopback: Annotated[bool, typer.Option(help="Permit Package Managers on this machine.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Make settings, signing key, database and the first administrator; print that one's API key once."""
    from broker.cli import setup

    setup.init(
        issuer=issuer,
        data_dir=data_dir,
        administrator=administrator,
        values={"allow_cleartext": allow_cleartext, "allow_loopback": allow_loopback, "host": host, "port": port},
    )


@app.command()
def serve(data_dir: DataDir = None, settings: SettingsFile = None) -> None:
    """Serve the issuer, the build API and the administration."""
    from broker.cli import setup

    setup.serve(data_dir, settings)


@app.command()
def federation_config(
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    name: Annotated[str, typer.Option(help="Name of the section.")] = "connect",
) -> None:
    """Print the section that the Package Manager's administrator pastes into rstudio-pm.gcfg."""
    from broker.cli import setup

    setup.federation_config(data_dir, settings, name)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    words: Annotated[list[str] | None, typer.Argument(metavar="--owner NAME [options] -- COMMAND")] = None,
) -> int:
    """Run a command as one build: its package clients find the owner's credentials, and nothing stays behind."""
    from broker.cli import build

    return build.run(words or [])


@app.command()
def emulator(
    config: Annotated[Path, typer.Option(help="A rstudio-pm.gcfg with [IdentityFederation] sections.")],
    packages: Annotated[Path, typer.Option(help="A folder with one folder for each repository.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 4242,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file with the certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with its key.")] = None,
    issuer_ca: Annotated[Path | None, typer.Option(help="PEM file with the CA of the issuer's certificate.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Misbehave; may be repeated (docs/emulator.md).")] = None,
    control: Annotated[bool, typer.Option(help="Let callers on this machine switch faults and read the log.")] = False,
    one_use: Annotated[bool, typer.Option(help="Accept each assertion once.")] = False,
) -> None:
    """Serve repositories as a Package Manager that trusts a broker: to try builds out."""
    from broker.emulator.server import run_emulator

    run_emulator(
        config,
        packages,
        host=host,
        port=port,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        faults=fault or (),
        issuer_ca=issuer_ca,
        control=control,
        one_use=one_use,
    )


@app.command()
def version() -> None:
    """Print the version."""
    from broker.bootstrap import version as installed

    print(installed())


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(arguments), prog_name="broker", standalone_mode=False)
    except BrokerError as fault:
        print(f"broker: {fault.message}", file=sys.stderr)
        return _exit_code(fault)
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("broker: interrupted", file=sys.stderr)
        return 130
    except OSError as fault:
        return _unwritten(fault)
    except Exception as fault:
        if hasattr(fault, "show") and hasattr(fault, "exit_code"):  # a usage error of the command line's own parser
            fault.show()
            return int(fault.exit_code)
        raise
    return _written(code if isinstance(code, int) else 0)


def _written(code: int) -> int:
    # Here and not at the interpreter's end, which would report a full disk in its own words.
    try:
        sys.stdout.flush()
    except OSError as fault:
        return _unwritten(fault)
    return code


def _unwritten(fault: OSError) -> int:
    # What else the machine refuses is one of our errors by now; left is our own output: a full disk, a reader who has
    # gone. The interpreter would try once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(fault, BrokenPipeError):
        print(f"broker: the output cannot be written: {fault.strerror}", file=sys.stderr)
    return EXIT_FAULT


def _exit_code(fault: BrokerError) -> int:
    code = (fault.payload or {}).get("exit_code")
    if isinstance(code, int):
        return code
    return EXIT_SETTINGS if isinstance(fault, SettingsFault) else EXIT_FAULT
