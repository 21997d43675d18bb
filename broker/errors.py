"""
Every way in which the broker says no, as one tree.

The branch says who can do something about it, so that a caller may decide by `except`:

    BrokerError
    ├── FixTheRequest         the caller: send something else
    │   ├── InvalidRequest … InvalidTemplateConfig …
    │   ├── NotFound
    │   └── Conflict
    ├── AskAnAdministrator    somebody with more rights: authenticate, grant, unlock
    ├── TryAgain              nobody: the same request may succeed later
    ├── ExchangeFailed        one Package Manager did not give a repository token (becomes a `problem` of the build)
    ├── Refused               our own checks stopped something that must not leave the broker
    ├── SetupFault            whoever operates the broker: settings, files, ports
    └── RunFault              whoever runs `broker run`

Each leaf has a stable `code`, a line in docs/errors.md and, where it can reach HTTP, a status in `web/errors.py`; tests
hold all three together. A message says what was wrong, where, and what to do; it never contains a secret.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class BrokerError(Exception):
    """
    Base of everything that the broker raises on purpose.

    `payload` is a small JSON object with details for machines; it reaches the caller, so it holds no secret either.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, payload: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.payload = payload


# --- the caller can fix it ------------------------------------------------------------------------------------------
class FixTheRequest(BrokerError):
    """The request itself is at fault; sending the same again fails again."""


class InvalidRequest(FixTheRequest):
    """A request that is understood, but cannot be carried out as it stands."""

    code = "invalid_request"


class InvalidJson(FixTheRequest):
    """The body is not JSON."""

    code = "invalid_json"


class UnparsableBody(FixTheRequest):
    """The body is JSON of the wrong shape: an unknown field, a wrong type."""

    code = "unparsable_body"


class BodyTooLarge(FixTheRequest):
    """The body is larger than the settings allow; it was not read to its end."""

    code = "body_too_large"


class UnsupportedMediaType(FixTheRequest):
    """The body's Content-Type is not one that this endpoint takes."""

    code = "unsupported_media_type"


class MethodNotAllowed(FixTheRequest):
    """The path exists, but not with this method."""

    code = "method_not_allowed"


class MissingParameter(FixTheRequest):
    """A required field or parameter is not there."""

    code = "missing_parameter"


class InvalidParameter(FixTheRequest):
    """A field or parameter has a value that it cannot have."""

    code = "invalid_parameter"


class InvalidIdentifier(FixTheRequest):
    """An id in the path is not of the form that ids have."""

    code = "invalid_identifier"


class InvalidIntegrationGuid(FixTheRequest):
    """The guid of an integration is not a UUID."""

    code = "invalid_integration_guid"


class InvalidUserGuid(FixTheRequest):
    """The guid of a user is not a UUID, or names nobody."""

    code = "invalid_user_guid"


class InvalidGroupGuid(FixTheRequest):
    """The guid of a group is not a UUID, or names no group."""

    code = "invalid_group_guid"


class InvalidUsername(FixTheRequest):
    """A user name that is empty, too long or has characters that user names cannot have."""

    code = "invalid_username"


class InvalidGroupName(FixTheRequest):
    """A group name that is empty, too long or has control characters."""

    code = "invalid_group_name"


class InvalidKeyName(FixTheRequest):
    """The name of an API key is empty or too long."""

    code = "invalid_key_name"


class KeyRoleTooHigh(FixTheRequest):
    """An API key was asked for a role above that of its user."""

    code = "key_role_too_high"


class InvalidIntegrationName(FixTheRequest):
    """The name of an integration is empty or too long."""

    code = "invalid_integration_name"


class InvalidIntegrationDescription(FixTheRequest):
    """The description of an integration is too long."""

    code = "invalid_integration_description"


class TemplateNotFound(FixTheRequest):
    """No integration template has this key."""

    code = "template_not_found"


class InvalidTemplateConfig(FixTheRequest):
    """The `config` of an integration does not fit its template."""

    code = "invalid_template_config"


class TemplateIsFixed(FixTheRequest):
    """The template of an existing integration cannot be changed."""

    code = "template_is_fixed"


class InvalidScope(FixTheRequest):
    """A Package Manager scope that does not parse."""

    code = "invalid_scope"


class AmbiguousAccess(FixTheRequest):
    """A change would empty an access list without saying whether that means everyone or nobody."""

    code = "ambiguous_access"


class TokenNotRetrieved(FixTheRequest):
    """An integration was tried out and its Package Manager gave no token; `payload` names the problem."""

    code = "token_not_retrieved"


class NothingToRemove(FixTheRequest):
    """What was to be removed is not there."""

    code = "nothing_to_remove"


class NothingToUpdate(FixTheRequest):
    """A change request without a change."""

    code = "nothing_to_update"


class NotFound(FixTheRequest):
    """No such object, or none that this caller may see."""

    code = "not_found"


class Conflict(FixTheRequest):
    """The request contradicts what is already there."""

    code = "conflict"


class DuplicateUsername(Conflict):
    """The user name is taken."""

    code = "duplicate_username"


class DuplicateGroupName(Conflict):
    """The group name is taken."""

    code = "duplicate_group_name"


class DuplicateMember(Conflict):
    """The user is a member of that group already."""

    code = "duplicate_member"


class DuplicateContentName(Conflict):
    """The owner has content of that name already."""

    code = "duplicate_content_name"


class LastAdministrator(Conflict):
    """The change would leave nobody who can administer the broker."""

    code = "last_administrator"


class BuildIsOver(Conflict):
    """The build is finished or expired; open another one."""

    code = "build_is_over"


# --- somebody with more rights can fix it ---------------------------------------------------------------------------
class AskAnAdministrator(BrokerError):
    """The request is fine; the rights are not."""


class NotAuthenticated(AskAnAdministrator):
    """No credential was sent."""

    code = "not_authenticated"


class InvalidLogin(AskAnAdministrator):
    """The API key is not valid: unknown, deleted, expired, or its user is locked."""

    code = "invalid_login"


class PermissionDenied(AskAnAdministrator):
    """The caller's role does not allow this."""

    code = "permission_denied"


class OwnerLocked(AskAnAdministrator):
    """The owner's account is locked, so it cannot own a build."""

    code = "owner_locked"


class OwnerNotPublisher(AskAnAdministrator):
    """The owner is neither publisher nor administrator, so it cannot own a build."""

    code = "owner_not_publisher"


class ContentNotOwned(AskAnAdministrator):
    """The content is registered, and its owner is not the one for whom the build was asked."""

    code = "content_not_owned"


# --- waiting can fix it ---------------------------------------------------------------------------------------------
class TryAgain(BrokerError):
    """Nothing is wrong with the request; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: int = 2, payload: Mapping[str, object] | None = None) -> None:
        super().__init__(message, payload=payload)
        self.retry_after = retry_after


class RecordUnavailable(TryAgain):
    """The record could not be written, so nothing was minted and nothing was changed."""

    code = "record_unavailable"


class PolicyKeepsChanging(TryAgain):
    """The policy changed between every decision and its record; nothing was minted."""

    code = "policy_keeps_changing"


class CredentialsFailed(TryAgain):
    """A Package Manager failed and the caller asked for all credentials or none; `payload` names the problems."""

    code = "credentials_failed"


class SigningUnavailable(TryAgain):
    """No key can sign now; nothing was minted."""

    code = "signing_unavailable"


class PolicyChanged(TryAgain):
    """The policy is newer than the decision; the use case decides again, so callers never see this."""

    code = "policy_changed"


# --- one Package Manager of a build ---------------------------------------------------------------------------------
class ExchangeFailed(BrokerError):
    """
    A Package Manager gave no repository token.

    It concerns one credential of a build and becomes an entry of `problems`; `retryable` says whether asking again may
    help without anybody changing anything.
    """

    retryable: ClassVar[bool] = False


class PackageManagerUnreachable(ExchangeFailed):
    """No connection: name not found, refused, reset."""

    code = "package_manager_unreachable"
    retryable = True


class PackageManagerTimeout(ExchangeFailed):
    """No complete answer in time."""

    code = "package_manager_timeout"
    retryable = True


class PackageManagerUntrusted(ExchangeFailed):
    """The TLS certificate does not verify."""

    code = "package_manager_untrusted"


class AddressForbidden(ExchangeFailed):
    """The host resolves to an address that the broker does not send assertions to."""

    code = "address_forbidden"


class AssertionRefused(ExchangeFailed):
    """The Package Manager answered 4xx: it does not accept our assertion."""

    code = "assertion_refused"


class PackageManagerBusy(ExchangeFailed):
    """The Package Manager answered 429."""

    code = "package_manager_busy"
    retryable = True


class PackageManagerFault(ExchangeFailed):
    """The Package Manager answered 5xx."""

    code = "package_manager_fault"
    retryable = True


class RedirectRefused(ExchangeFailed):
    """The Package Manager redirected; an assertion is never sent to a second address."""

    code = "redirect_refused"


class AnswerNotUnderstood(ExchangeFailed):
    """The answer is not a token response: HTML, broken JSON, no `access_token`."""

    code = "answer_not_understood"


class AnswerTooLarge(ExchangeFailed):
    """The answer is larger than any token response; it was not read to its end."""

    code = "answer_too_large"


class TokenUnusable(ExchangeFailed):
    """The repository token cannot be carried by a netrc, or has already expired."""

    code = "token_unusable"


class HostConflict(ExchangeFailed):
    """Two integrations need different credentials for one host, which a netrc cannot express."""

    code = "host_conflict"


# --- our own output did not pass our own checks ---------------------------------------------------------------------
class Refused(BrokerError):
    """Something that must not leave the broker did not leave it. A defect or an attack; never the caller's to fix."""


class ClaimsRefused(Refused):
    """A freshly signed assertion is not what was decided."""

    code = "claims_refused"


class NetrcRefused(Refused):
    """A netrc entry that some reader would misread."""

    code = "netrc_refused"


# --- whoever operates the broker ------------------------------------------------------------------------------------
class SetupFault(BrokerError):
    """Something on this machine or in its settings is not as it must be."""


class SettingsFault(SetupFault):
    """
    One or more settings are wrong; `faults` names each with its value and remedy.

    All of them are told at once.
    """

    code = "settings_fault"

    def __init__(self, faults: Sequence[str]) -> None:
        many = "1 setting is" if len(faults) == 1 else f"{len(faults)} settings are"
        super().__init__("\n".join([f"{many} wrong:", *(f"  - {fault}" for fault in faults)]))
        self.faults = tuple(faults)


class FileFault(SetupFault):
    """A file or folder is missing, not writable, not private, or in a place where it must not be."""

    code = "file_fault"


class AlreadyInitialised(SetupFault):
    """`broker init` has been run here before."""

    code = "already_initialised"


class NotInitialised(SetupFault):
    """`broker init` has not been run here."""

    code = "not_initialised"


class PortInUse(SetupFault):
    """Another process listens on the port."""

    code = "port_in_use"


# --- whoever runs `broker run` --------------------------------------------------------------------------------------
class RunFault(BrokerError):
    """`broker run` could not prepare the build; the command was not started."""


class BrokerUnreachable(RunFault):
    """The broker did not answer, or its answer was not understood."""

    code = "broker_unreachable"


class BrokerRefused(RunFault):
    """The broker answered with an error; its words are in the message."""

    code = "broker_refused"


class BuildFilesFault(RunFault):
    """The private directory of a build could not be made or is not safe."""

    code = "build_files_fault"


class CommandNotStarted(RunFault):
    """The command was not found or could not be executed."""

    code = "command_not_started"


class CredentialsIncomplete(RunFault):
    """The broker reported problems and the caller asked not to go on without every credential."""

    code = "credentials_incomplete"


def leaves(base: type[BrokerError] = BrokerError) -> list[type[BrokerError]]:
    """Return every class of the tree that has a code of its own, in the order in which it is drawn."""
    own = [base] if "code" in vars(base) and base is not BrokerError else []
    return own + [leaf for branch in base.__subclasses__() for leaf in leaves(branch)]
