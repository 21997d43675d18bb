"""
`broker keys`: look at the signing keys, rotate them, take a leaked one out of use.
"""

from typing import Annotated

import typer

from broker.cli.options import DataDir, SettingsFile

app = typer.Typer(help="The keys that assertions are signed with.", no_args_is_help=True, rich_markup_mode=None)

KIDS = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""A kid may begin with a hyphen (RFC 4648 5), even with -h."""


@app.callback()
def keys() -> None:
    """The keys that assertions are signed with."""


@app.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
) -> None:
    """List every key with its state and its four instants (UTC)."""
    from broker.cli import signing_keys

    signing_keys.list_keys(data_dir, settings, as_json=as_json)


@app.command(context_settings=KIDS)
def show(
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key's id, as `broker keys list` shows it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the public JWK instead of PEM.")] = False,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
) -> None:
    """Print the public half of one key."""
    from broker.cli import signing_keys

    signing_keys.show(kid, data_dir, settings, as_json=as_json)


@app.command()
def rotate(
    algorithm: Annotated[str | None, typer.Option(help="Only the key of this algorithm.")] = None,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
) -> None:
    """Publish a successor now; it signs when verifiers have had the time to see it."""
    from broker.cli import signing_keys

    signing_keys.rotate(algorithm, data_dir, settings)


@app.command(context_settings=KIDS)
def revoke(
    kids: Annotated[list[str], typer.Argument(metavar="KID...", help="Ids of keys that may have leaked.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
) -> int:
    """Take a leaked key out of use and out of the JWKS now; another one signs at once."""
    from broker.cli import signing_keys

    return signing_keys.revoke(kids, data_dir, settings, yes=yes)
