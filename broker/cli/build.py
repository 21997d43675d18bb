"""
What a build host runs: `broker run`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.domain.secrets import Secret
from broker.errors import BrokerError, FileFault, MissingParameter
from broker.runner.request import RunRequest
from broker.runner.run import OWN_FAULT, run_build


def run(*, command: tuple[str, ...], server: str, api_key_file: Path | None, options: Mapping[str, Any]) -> int:
    """
    Run a command as one build and return its exit code.

    The key comes from a file or the environment, never from the command line, where every user of the machine sees it.
    """
    try:
        if not server:
            raise MissingParameter("say where the broker is: --server https://… or the variable BROKER_SERVER")
        request = RunRequest(server_url=server, api_key=_api_key(api_key_file), command=command, **options)
        return run_build(request, os.environ)
    except BrokerError as fault:
        # Whatever kept the command from starting ends with the code that no command of its own has.
        fault.payload = {"exit_code": OWN_FAULT, **(fault.payload or {})}
        raise


def _api_key(file: Path | None) -> Secret:
    if file is None:
        return Secret(os.environ.get("BROKER_API_KEY", ""))
    try:
        return Secret(file.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not plain text"
        raise FileFault(f"the API key file {file} cannot be read: {reason}") from None
