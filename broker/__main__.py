"""
The `broker` command; `python -m broker` is the same.
"""

import sys


def main() -> None:
    """Run the command line."""
    from broker.cli.app import main as command_line  # noqa: PLC0415 - `broker.cli` is not needed by who only imports `broker`

    sys.exit(command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
