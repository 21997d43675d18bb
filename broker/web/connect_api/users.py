"""
`/__api__/v1/users`, `/__api__/v1/user` and the API keys of a user.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from broker.domain.identity import Role
from broker.usecases.manage_people import UserFields
from broker.web.connect_api.parameters import Caller, KeyId, Paging, Prefix, UserGuid
from broker.web.connect_api.shapes import KeyIn, LockIn, UserIn, UserPatch, key_out, page_out, user_out

router = APIRouter(prefix="/__api__/v1", tags=["users"])


def _any_of(*words: str) -> str:
    word = "|".join(words)
    return rf"^({word})(\|({word}))*$"


@router.get("/user")
def current_user(session: Caller) -> dict[str, object]:
    """Show the caller, as stored: the policy in memory does not follow when somebody was last active."""
    return user_out(session.services.people.user(session.act, session.caller.user.guid))


@router.get("/users")
def list_users(
    session: Caller,
    page: Paging,
    prefix: Prefix = "",
    user_role: Annotated[str | None, Query(pattern=_any_of(*Role))] = None,
    account_status: Annotated[str | None, Query(pattern=_any_of("locked", "licensed", "inactive"))] = None,
) -> dict[str, object]:
    """List users by name; `|` between roles or states means one of them."""
    roles = {Role(role) for role in user_role.split("|")} if user_role else set()
    states = {status == "locked" for status in account_status.split("|")} if account_status else set()
    locked = states.pop() if len(states) == 1 else None
    found = session.services.people.users(session.act, page, prefix=prefix, roles=roles, locked=locked)
    return page_out([user_out(user) for user in found.results], page, found)


@router.post("/users")
def create_user(session: Caller, body: UserIn) -> dict[str, object]:
    """Create a user."""
    fields = UserFields(
        body.username, body.email, body.first_name, body.last_name, body.user_role, body.external_id or body.unique_id
    )
    return user_out(session.services.people.create_user(session.act, fields))


@router.get("/users/{user_guid}")
def get_user(session: Caller, user_guid: UserGuid) -> dict[str, object]:
    """Show one user."""
    return user_out(session.services.people.user(session.act, user_guid))


@router.put("/users/{user_guid}")
def change_user(session: Caller, user_guid: UserGuid, body: UserPatch) -> dict[str, object]:
    """Change a user; what is absent stays."""
    fields = UserFields(body.username, body.email, body.first_name, body.last_name, body.user_role, body.external_id)
    return user_out(session.services.people.change_user(session.act, user_guid, fields))


@router.post("/users/{user_guid}/lock")
def lock_user(session: Caller, user_guid: UserGuid, body: LockIn) -> dict[str, object]:
    """Lock or unlock a user."""
    return user_out(session.services.people.lock_user(session.act, user_guid, locked=body.locked))


@router.get("/users/{user_guid}/keys", tags=["keys"])
def list_keys(session: Caller, user_guid: UserGuid) -> list[dict[str, object]]:
    """List the API keys of a user, without the keys themselves."""
    user = session.services.policy.current().user(user_guid)
    return [key_out(key, user) for key in session.services.keys.list(session.act, user_guid)]


@router.post("/users/{user_guid}/keys", tags=["keys"])
def create_key(session: Caller, user_guid: UserGuid, body: KeyIn, response: Response) -> dict[str, object]:
    """Make an API key; the answer is the only place where it is ever shown."""
    response.headers["Cache-Control"] = "no-store"
    made = session.services.keys.create(
        session.act, user_guid, name=body.name, role=body.user_role, expires_time=body.expires_at
    )
    user = session.services.policy.current().user(user_guid)
    return {**key_out(made.record, user), "key": made.key.reveal()}


@router.get("/users/{user_guid}/keys/{key_id}", tags=["keys"])
def get_key(session: Caller, user_guid: UserGuid, key_id: KeyId) -> dict[str, object]:
    """Show the record of one API key."""
    user = session.services.policy.current().user(user_guid)
    return key_out(session.services.keys.get(session.act, user_guid, key_id), user)


@router.delete("/users/{user_guid}/keys/{key_id}", status_code=204, tags=["keys"])
def delete_key(session: Caller, user_guid: UserGuid, key_id: KeyId) -> None:
    """Delete an API key."""
    session.services.keys.delete(session.act, user_guid, key_id)
