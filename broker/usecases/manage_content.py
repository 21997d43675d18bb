"""
Register content and say who owns it; whoever owns it is the only one it is built for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker.domain.audit import Action
from broker.domain.callers import Right, authorise, is_allowed
from broker.domain.content import Content, checked_content_name
from broker.domain.identity import Caller, Owner
from broker.errors import InvalidUserGuid, NotFound, NothingToUpdate
from broker.ports import Clock, Ids, Transaction
from broker.usecases.road import Act, Change, Road


@dataclass(frozen=True, slots=True)
class ManageContent:
    """
    One's own content; that of others for administrators, to anybody else it does not exist.

    Every call raises PermissionDenied and RecordUnavailable as well.
    """

    road: Road
    ids: Ids
    clock: Clock

    def create(self, act: Act, name: str, *, owner_guid: str | None = None, guid: str | None = None) -> Content:
        """
        Register content, by default of the caller.

        Only an administrator registers content of somebody else, or content that has its guid from elsewhere: with the
        guid of another's content a publisher could shut its owner out.
        Raises InvalidParameter (the name), InvalidUserGuid, OwnerLocked, OwnerNotPublisher, Conflict (the guid is
        taken), DuplicateContentName.
        """
        mine = guid is None and owner_guid in {None, act.caller.user.guid}

        def work(transaction: Transaction) -> Change[Content]:
            content = Content(
                guid or self.ids.guid(),
                checked_content_name(name),
                _able_owner(transaction, owner_guid or act.caller.user.guid),
                self.clock.now(),
            )
            transaction.contents.add(content)
            return Change(content, content.guid, {"after": _summary(content)})

        right = Right.OWN_CONTENT if mine else Right.MANAGE_CONTENT
        return self.road.change(act, right, Action.CONTENT_CREATED, work)

    def list(self, act: Act, *, name: str | None = None, owner_guid: str | None = None) -> Sequence[Content]:
        """List in the order of creation, only what has this name and this owner where they are given."""

        def work(transaction: Transaction) -> Sequence[Content]:
            found = transaction.contents.all(name=name, owner_guid=owner_guid)
            return [content for content in found if _is_visible(content, act.caller)]

        return self.road.read(act, Right.OWN_CONTENT, work)

    def get(self, act: Act, guid: str) -> Content:
        """Return one content. Raises NotFound."""
        return self.road.read(act, Right.OWN_CONTENT, lambda transaction: _visible(transaction, act.caller, guid))

    def change(self, act: Act, guid: str, *, name: str | None = None, owner_guid: str | None = None) -> Content:
        """
        Rename content or, as an administrator, transfer it.

        Giving content away takes an administrator too: it would be built with the rights of somebody who never saw it.
        Raises NotFound, NothingToUpdate, and what `create` raises.
        """

        def work(transaction: Transaction) -> Change[Content]:
            if name is None and owner_guid is None:
                raise NothingToUpdate("send at least one of name and owner_guid")
            before = _visible(transaction, act.caller, guid)
            after = before if name is None else replace(before, name=checked_content_name(name))
            if owner_guid not in {None, before.owner_guid}:
                authorise(act.caller, Right.MANAGE_CONTENT)
                after = replace(after, owner_guid=_able_owner(transaction, str(owner_guid)))
            transaction.contents.replace(after)
            return Change(after, guid, {"before": _summary(before), "after": _summary(after)})

        return self.road.change(act, Right.OWN_CONTENT, Action.CONTENT_CHANGED, work, target=guid)

    def delete(self, act: Act, guid: str) -> None:
        """Forget content; from then on its guid is again one that anybody may name for correlation. Raises NotFound."""

        def work(transaction: Transaction) -> Change[None]:
            before = _visible(transaction, act.caller, guid)
            transaction.contents.delete(guid)
            return Change(None, guid, {"before": _summary(before)})

        self.road.change(act, Right.OWN_CONTENT, Action.CONTENT_DELETED, work, target=guid)


def _is_visible(content: Content, caller: Caller) -> bool:
    return content.owner_guid == caller.user.guid or is_allowed(caller, Right.MANAGE_CONTENT)


def _visible(transaction: Transaction, caller: Caller, guid: str) -> Content:
    content = transaction.contents.get(guid)
    if content is None or not _is_visible(content, caller):
        raise NotFound(f"there is no content {guid}, or none that this caller may see")
    return content


def _able_owner(transaction: Transaction, guid: str) -> str:
    user = transaction.people.user(guid)
    if user is None:
        raise InvalidUserGuid(f"there is no user {guid}")
    Owner(user, frozenset()).must_be_able_to_build()
    return guid


def _summary(content: Content) -> dict[str, object]:
    return {"name": content.name, "owner_guid": content.owner_guid}
