"""
The `broker` command; `python -m broker` is the same.
"""

import sys


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    if words[:1] == ["run"]:
        from broker.cli.build import run  # noqa: PLC0415 - it starts with every build; the rest is not needed for it

        sys.exit(run(words[1:]))
    from broker.cli.app import main as command_line  # noqa: PLC0415 - as above, the other way round

    sys.exit(command_line(words))


if __name__ == "__main__":
    main()
