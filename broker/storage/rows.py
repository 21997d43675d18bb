"""
Between the domain's values and the tables' rows.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import RowMapping

from broker.domain.identity import ApiKey, Role, User, folded
from broker.domain.integrations import (
    TEMPLATE,
    Access,
    AccessList,
    Draft,
    Integration,
    Kind,
    PackageManagerConfig,
    Permission,
    Principal,
)
from broker.domain.package_manager import PackageManagerUrl
from broker.domain.scopes import ScopeSet


def user_of(row: RowMapping) -> User:
    """Return a row of `users` as a value."""
    values = {name: row[name] for name in _USER}
    return User(**{**values, "role": Role(row["role"])})


def user_values(user: User) -> dict[str, Any]:
    """Return the columns of a user."""
    return {**{name: getattr(user, name) for name in _USER}, "username_folded": folded(user.username)}


_USER = tuple(field.name for field in fields(User))


def key_of(row: RowMapping) -> ApiKey:
    """Return a row of `api_keys` as a value."""
    return ApiKey(**{**row, "id": str(row["id"]), "role": Role(row["role"]) if row["role"] else None})


def integration_values(draft: Draft) -> dict[str, Any]:
    """Return the columns of an integration that its administrator decides."""
    config = draft.config
    return {
        "name": draft.name,
        "description": draft.description,
        "template": TEMPLATE,
        "config": {
            "ppm_url": str(config.ppm_url),
            "scopes": str(config.scopes),
            "audience": config.audience,
            "subject": config.subject,
            "algorithm": config.algorithm,
            "allow_other_scopes": config.allow_other_scopes,
        },
        "access": draft.access.access.value,
    }


def integration_of(row: RowMapping, permissions: Sequence[Permission]) -> Integration:
    """Return a row of `integrations` with its access list."""
    config = dict(row["config"])
    draft = Draft(
        row["name"],
        row["description"],
        PackageManagerConfig(
            **{
                **config,
                "ppm_url": PackageManagerUrl.parse(config["ppm_url"]),
                "scopes": ScopeSet.parse(config["scopes"]),
            }
        ),
        AccessList(Access(row["access"]), tuple(permission.principal for permission in permissions)),
    )
    return Integration(str(row["id"]), row["guid"], row["created_time"], row["updated_time"], draft, tuple(permissions))


def permission_of(row: RowMapping) -> Permission:
    """Return a row of `permissions` as a value."""
    principal = (
        Principal(Kind.USER, row["user_guid"])
        if row["user_guid"] is not None
        else Principal(Kind.GROUP, row["group_guid"])
    )
    return Permission(str(row["id"]), row["guid"], principal)
