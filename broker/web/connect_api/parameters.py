"""
Path and query parameters that several endpoints share.
"""

import re
from typing import Annotated

from fastapi import Depends, Query

from broker.errors import (
    BrokerError,
    InvalidGroupGuid,
    InvalidIdentifier,
    InvalidIntegrationGuid,
    InvalidUserGuid,
    NotFound,
)
from broker.ports import Page
from broker.web.auth import Session, authenticated
from broker.web.builds import GUID

_GUID = re.compile(GUID)
_KEY_ID = re.compile(r"[1-9][0-9]{0,17}")

Caller = Annotated[Session, Depends(authenticated)]
"""The authenticated caller."""


def _page(
    page_number: Annotated[int, Query(ge=1, le=1_000_000)] = 1, page_size: Annotated[int, Query(ge=1, le=500)] = 20
) -> Page:
    return Page(page_number, page_size)


Paging = Annotated[Page, Depends(_page)]
Prefix = Annotated[str, Query(max_length=255)]


def _checked(text: str, fault: type[BrokerError], what: str) -> str:
    if not _GUID.fullmatch(text):
        raise fault(f"the guid of {what} is a UUID, such as 4c6b2b5e-6a8d-4a3c-9a39-0d6c1c2f6a52")
    return text.lower()


def _integration_guid(guid: str) -> str:
    return _checked(guid, InvalidIntegrationGuid, "an integration")


def _user_guid(user_guid: str) -> str:
    return _checked(user_guid, InvalidUserGuid, "a user")


def _group_guid(group_guid: str) -> str:
    return _checked(group_guid, InvalidGroupGuid, "a group")


def _content_guid(content_guid: str) -> str:
    return _checked(content_guid, InvalidIdentifier, "content")


def _key_id(key_id: str) -> str:
    # One spelling for one key: `07` and digits of other scripts would be read as a number further down.
    if not _KEY_ID.fullmatch(key_id):
        raise NotFound("this user has no such API key; its id is a whole number")
    return key_id


IntegrationGuid = Annotated[str, Depends(_integration_guid)]
UserGuid = Annotated[str, Depends(_user_guid)]
GroupGuid = Annotated[str, Depends(_group_guid)]
ContentGuid = Annotated[str, Depends(_content_guid)]
KeyId = Annotated[str, Depends(_key_id)]
