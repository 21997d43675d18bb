"""
Content, as far as a build needs it: who owns it.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from broker.errors import InvalidParameter

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Content:
    """
    Something that is published; the field names are those of the vendor's API.

    Only its owner's credentials ever build it: handing over the content hands over the builds, and with them what
    hostile code in it could read. Names are unique for each owner, the guid is what everything refers to.
    """

    guid: str
    name: str
    owner_guid: str
    created_time: datetime


def checked_content_name(text: str) -> str:
    """Return the name unchanged, or raise InvalidParameter."""
    if not _NAME.fullmatch(text):
        raise InvalidParameter(
            f"the name of content has 1 to 64 letters, digits, hyphens and underscores (vendor API); got {text[:80]!r}"
        )
    return text
