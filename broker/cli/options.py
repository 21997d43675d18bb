"""
Options that several commands share.
"""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where settings, keys and records are.", envvar="BROKER_DATA_DIR")
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="The settings file.", envvar="BROKER_SETTINGS")]
