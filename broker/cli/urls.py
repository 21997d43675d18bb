"""
`broker urls`: try out what a build does to repository URLs.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from broker.domain.repositories import Mode, Rewrite, has_login
from broker.errors import InvalidParameter

EXIT_USAGE = 2

app = typer.Typer(help="Repository URLs of a Package Manager.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def urls() -> None:
    """Repository URLs of a Package Manager."""


@app.command()
def rewrite(
    repositories: Annotated[list[str], typer.Argument(metavar="URL...", help="URLs of R repositories.")],
    mode: Annotated[Mode, typer.Option(help="What they are to become.")] = Mode.AUTO,
    os_release: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="The host's os-release, instead of this one's."),
    ] = None,
    arch: Annotated[str | None, typer.Option(help="Its architecture (uname -m), instead of this one's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array, with the reasons.")] = False,
) -> None:
    """Print what each URL becomes on a host, one per line, and on standard error why."""
    from broker.runner.package_manager_status import Statuses
    from broker.runner.rewriting import OS_RELEASE, rewritten, this_host

    _check(repositories)
    host = this_host(OS_RELEASE if os_release is None else (os_release,), arch)
    done = rewritten(repositories, mode, host, Statuses())
    _print_json(done) if as_json else _print_lines(done)


def _print_lines(done: Sequence[Rewrite]) -> None:
    from broker.runner.rewriting import line

    for each in done:
        print(each.after)
        print(f"broker: {line(each)}", file=sys.stderr)


def _print_json(done: Sequence[Rewrite]) -> None:
    values = [
        {"from": each.before, "to": each.after, "changed": each.is_changed, "reason": each.reason} for each in done
    ]
    print(json.dumps(values, indent=2))


def _check(repositories: Sequence[str]) -> None:
    for number, text in enumerate(repositories, 1):
        if not text.isascii() or not text.isprintable() or not text or " " in text:
            # One URL is one line of the output, and a URL has no such characters (RFC 3986, section 2).
            raise _fault(number, "is not a URL: it is empty or holds blanks, control or non-ASCII characters")
        if has_login(text):
            raise _fault(number, "carries a user name or a password, which would be printed; remove them from it")


def _fault(number: int, what: str) -> InvalidParameter:
    return InvalidParameter(f"URL {number} {what}", payload={"exit_code": EXIT_USAGE})
