"""
One valid call for each route that changes something, and how its path is filled in.
"""

from tests.web.site import NOBODY, PPM, V1

BODIES = {
    ("POST", "/builds"): {"owner_username": "paul", "content_guid": NOBODY, "repositories": ["open"], "duration": 600},
    ("POST", "/content"): {"name": "new-content", "owner_guid": "<paul>", "guid": NOBODY},
    ("PATCH", "/content/{content_guid}"): {"name": "renamed", "owner_guid": "<pam>"},
    ("POST", "/groups"): {"name": "new group"},
    ("PUT", "/groups/{group_guid}"): {"name": "other name"},
    ("POST", "/groups/{group_guid}/members"): {"user_guid": "<paul>"},
    ("POST", "/oauth/integrations"): {
        "template": "ppm",
        "name": "new integration",
        "description": "for tests",
        "config": {"ppm_url": PPM, "scopes": "repos:read:*", "audience": "a", "subject": "s"},
        "access": "restricted",
        "permissions": [{"user_guid": "<paul>", "group_guid": None}],
    },
    ("PATCH", "/oauth/integrations/{guid}"): {
        "template": "ppm",
        "name": "changed",
        "description": "changed",
        "config": {"scopes": "repos:read:b"},
        "access": "restricted",
        "permissions": [{"user_guid": None, "group_guid": "<analysts>"}],
    },
    ("POST", "/users"): {
        "username": "nina",
        "password": "unused",
        "email": "nina@example.com",
        "first_name": "Nina",
        "last_name": "N",
        "user_role": "publisher",
        "external_id": "x-1",
    },
    ("PUT", "/users/{user_guid}"): {
        "username": "paul2",
        "email": "p@example.com",
        "first_name": "P",
        "last_name": "P",
        "user_role": "viewer",
        "external_id": "x-2",
    },
    ("POST", "/users/{user_guid}/lock"): {"locked": True},
    ("POST", "/users/{user_guid}/keys"): {"name": "ci", "user_role": "viewer", "expires_at": "2030-01-01T00:00:00Z"},
}
BODIES = {(method, V1 + path): body for (method, path), body in BODIES.items()}


def body_of(route, world):
    """
    Return the body of a valid call with `<name>` replaced by the guid.
    """
    return _filled(BODIES.get(route), world)


def path_of(route, world, *, build=NOBODY):
    """
    Return the path with real objects in it: paul, whose key is the third, in the group analysts.
    """
    path = route[1]
    if path.startswith(f"{V1}/builds"):
        path = path.replace("{guid}", build)
    if path.endswith("/members/{user_guid}"):
        path = path.replace("{user_guid}", world.guids["pam"])
    return (
        path.replace("{guid}", world.guids["closed"])
        .replace("{group_guid}", world.guids["analysts"])
        .replace("{user_guid}", world.guids["paul"])
        .replace("{key_id}", "3")
        .replace("{content_guid}", world.guids["report"])
        .replace("{key}", "ppm")
    )


def _filled(value, world):
    if isinstance(value, dict):
        return {name: _filled(each, world) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, world) for each in value]
    if isinstance(value, str) and value.startswith("<"):
        return world.guids[value.strip("<>")]
    return value
