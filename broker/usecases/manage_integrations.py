"""
Create, read, change and delete integrations and their access lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.domain.audit import Action
from broker.domain.callers import Right, authorise
from broker.domain.integrations import Access, AccessList, Draft, Integration, Principal
from broker.domain.plan import Defaults
from broker.domain.templates import Template, to_values
from broker.errors import InvalidParameter, NotFound, NothingToUpdate
from broker.ports import Clock, Ids, Transaction
from broker.usecases.road import Act, Change, Road


@dataclass(frozen=True, slots=True)
class NewIntegration:
    """What an administrator sends to create an integration; None where the request says nothing."""

    name: str
    description: str
    config: Mapping[str, object]
    access: Access | None
    principals: Sequence[Principal] | None


@dataclass(frozen=True, slots=True)
class IntegrationChange:
    """What an administrator sends to change one; None leaves a part, or a field of `config`, as it is."""

    name: str | None = None
    description: str | None = None
    config: Mapping[str, object] | None = None
    access: Access | None = None
    principals: Sequence[Principal] | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """An integration after a change, with warnings about what would surprise at build time."""

    integration: Integration
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ManageIntegrations:
    """The administrator's view of integrations. Every call raises PermissionDenied and RecordUnavailable as well."""

    road: Road
    ids: Ids
    clock: Clock
    template: Template
    defaults: Defaults

    def create(self, act: Act, new: NewIntegration) -> Saved:
        """
        Create an integration.

        Raises InvalidTemplateConfig, InvalidIntegrationName, InvalidIntegrationDescription, InvalidParameter.
        """

        def work(transaction: Transaction) -> Change[Saved]:
            access = AccessList.created(new.access, new.principals)
            draft = Draft(new.name, new.description, self.template.parse(new.config), access)
            _must_exist(transaction, access)
            saved = self._saved(transaction, transaction.integrations.add(self.ids.guid(), draft, self.clock.now()))
            return Change(saved, saved.integration.guid, _detail(saved))

        return self.road.change(act, Right.MANAGE_INTEGRATIONS, Action.INTEGRATION_CREATED, work)

    def list(self, act: Act) -> Sequence[Integration]:
        """Return all integrations in the order of their creation."""
        return self.road.read(act, Right.READ_INTEGRATIONS, lambda transaction: transaction.integrations.all())

    def get(self, act: Act, guid: str) -> Integration:
        """Return one integration. Raises NotFound."""
        return self.road.read(act, Right.READ_INTEGRATIONS, lambda transaction: _existing(transaction, guid))

    def change(self, act: Act, guid: str, change: IntegrationChange) -> Saved:
        """
        Change an integration; `config` is changed field by field, the access list as a whole.

        Raises NotFound, NothingToUpdate, AmbiguousAccess, and what `create` raises.
        """

        def work(transaction: Transaction) -> Change[Saved]:
            if change == IntegrationChange():
                raise NothingToUpdate("send at least one of name, description, config, access and permissions")
            before = _existing(transaction, guid)
            draft = self._changed(before.draft, change)
            _must_exist(transaction, draft.access)
            saved = self._saved(transaction, transaction.integrations.replace(guid, draft, self.clock.now()))
            return Change(saved, guid, {"before": _summary(before), **_detail(saved)})

        return self.road.change(act, Right.MANAGE_INTEGRATIONS, Action.INTEGRATION_CHANGED, work, target=guid)

    def delete(self, act: Act, guid: str) -> None:
        """Delete an integration and its access list. Raises NotFound."""

        def work(transaction: Transaction) -> Change[None]:
            before = _existing(transaction, guid)
            transaction.integrations.delete(guid)
            return Change(None, guid, {"before": _summary(before)})

        self.road.change(act, Right.MANAGE_INTEGRATIONS, Action.INTEGRATION_DELETED, work, target=guid)

    def templates(self, act: Act) -> Sequence[Mapping[str, object]]:
        """Return the templates, each as the API shows it; there is one."""
        authorise(act.caller, Right.READ_INTEGRATIONS)
        return [self.template.describe(self.defaults)]

    def must_be_there(self, act: Act, guid: str) -> None:
        """Look an integration up as its administrator. Raises NotFound."""
        self.road.read(act, Right.MANAGE_INTEGRATIONS, lambda transaction: _existing(transaction, guid))

    def _changed(self, before: Draft, change: IntegrationChange) -> Draft:
        return Draft(
            before.name if change.name is None else change.name,
            before.description if change.description is None else change.description,
            before.config if change.config is None else self.template.merge(before.config, change.config),
            before.access.changed(change.access, change.principals),
        )

    def _saved(self, transaction: Transaction, integration: Integration) -> Saved:
        target = self.defaults.target(integration.config)
        clashing = [
            f"{other.name} uses the host {target.url.host} in another way; a build that gets both gets neither, "
            "because a netrc holds one credential for a host. Give one of them a second DNS name"
            for other in transaction.integrations.all()
            if other.config.ppm_url.host == target.url.host and self.defaults.target(other.config) != target
        ]
        return Saved(integration, tuple(clashing))


def _existing(transaction: Transaction, guid: str) -> Integration:
    integration = transaction.integrations.get(guid)
    if integration is None:
        raise NotFound(f"there is no integration {guid}")
    return integration


def _must_exist(transaction: Transaction, access: AccessList) -> None:
    missing = transaction.missing(access.principals)
    if missing:
        raise InvalidParameter(f"permissions: there is no {missing[0].kind} {missing[0].guid}")


def _detail(saved: Saved) -> dict[str, object]:
    return {"after": _summary(saved.integration), "warnings": list(saved.warnings)}


def _summary(integration: Integration) -> dict[str, object]:
    return {
        "name": integration.name,
        "config": to_values(integration.config),
        "access": integration.access.access,
        "permissions": [f"{principal.kind}:{principal.guid}" for principal in integration.access.principals],
    }
