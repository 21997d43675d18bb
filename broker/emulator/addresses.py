"""
Reads the path of a repository request into what is asked for; knows no file and no credential.

Python: `/{repository}/{snapshot}/…`   R: `/{repository}/[__linux__/{distribution}/]{snapshot}/…`
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Self

from broker.emulator.refusals import NotThere
from broker.emulator.status import DISTRIBUTIONS

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_BINARY = "__linux__"


@dataclass(frozen=True, slots=True)
class Address:
    """A path of which only the repository's name has been read: whoever may not see it learns nothing else."""

    repository: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, path: str) -> Self:
        """Split a decoded path; raises NotThere where it cannot be that of a repository."""
        segments = path.removeprefix("/").split("/")
        # Dot segments are resolved by nobody here: they name no file, and a path with them is somebody's experiment.
        if any(segment in {".", ".."} for segment in segments) or "\0" in path:
            raise NotThere("a path with dot segments or NUL is never resolved")
        return cls(segments[0], tuple(segments[1:]))

    def below_snapshot(self, *, binaries: bool) -> tuple[str, ...]:
        """
        Return what stands after the snapshot.

        `binaries` admits `__linux__/{distribution}`. Raises NotThere for a snapshot that cannot be.
        """
        segments = self.segments
        if binaries and segments[:1] == (_BINARY,):
            if segments[1:2] == () or segments[1] not in DISTRIBUTIONS:
                raise NotThere("unknown distribution")
            segments = segments[2:]
        if not segments or not is_snapshot(segments[0]):
            raise NotThere("the snapshot is neither latest, nor a date, nor a number")
        return segments[1:]


def is_snapshot(text: str) -> bool:
    """Whether `text` is `latest`, a date that exists, or a transaction number."""
    if _DATE.fullmatch(text):
        try:
            date.fromisoformat(text)
        except ValueError:
            return False
        return True
    return text == "latest" or bool(_NUMBER.fullmatch(text))
