"""
What the person who starts a build says, checked before anything happens.
"""

from dataclasses import dataclass

from broker.domain.secrets import Secret
from broker.errors import InvalidParameter, MissingParameter
from broker.runner.address import ServerAddress


@dataclass(frozen=True, slots=True)
class RunRequest:
    """
    One `broker run`; cannot be constructed with something that is bound to fail later.

    Exactly one of `owner_guid` and `owner_username` names the owner. `duration` is in seconds. `require_all` asks the
    broker for `"on_problem": "fail"` and does not start the command without every credential. `runtime_root` is the
    private directory in which build directories are made (None: a memory-backed one of this user). `ca_file` is a PEM
    file to trust instead of the system's. `allow_http` permits a cleartext broker that is not on loopback.

    Raises MissingParameter and InvalidParameter.
    """

    server_url: str
    api_key: Secret
    command: tuple[str, ...]
    owner_guid: str | None = None
    owner_username: str | None = None
    content_guid: str | None = None
    repositories: tuple[str, ...] = ()
    duration: int | None = None
    require_all: bool = False
    runtime_root: str | None = None
    ca_file: str | None = None
    allow_http: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        ServerAddress.parse(self.server_url, allow_http=self.allow_http)
        _check_key(self.api_key.reveal())
        if bool(self.owner_guid) == bool(self.owner_username):
            raise MissingParameter(
                "say whose build this is: either the owner's user name or the owner's guid, not both"
            )
        if not self.command or not self.command[0]:
            raise MissingParameter("no command to run; put it after `--`, as in `broker run --owner alice -- make`")
        if any("\0" in word for word in self.command):
            raise InvalidParameter("the command holds a NUL character, which no program can be given")
        if self.duration is not None and self.duration <= 0:
            raise InvalidParameter(f"the duration must be a positive number of seconds, not {self.duration}")

    @property
    def address(self) -> ServerAddress:
        """Where the broker is."""
        return ServerAddress.parse(self.server_url, allow_http=self.allow_http)

    def body(self) -> dict[str, object]:
        """Return the JSON object of `POST /__api__/v1/builds`; what was not said is left out."""
        said: dict[str, object] = {
            "owner_guid": self.owner_guid,
            "owner_username": self.owner_username,
            "content_guid": self.content_guid,
            "repositories": list(self.repositories),
            "duration": self.duration,
            "on_problem": "fail" if self.require_all else "continue",
        }
        return {name: value for name, value in said.items() if value not in (None, "", [])}


def _check_key(key: str) -> None:
    # http.client would refuse a line break in a header too, but repeat the value, the key, in its error.
    if not key:
        raise MissingParameter("no API key for the broker; give one in the environment variable BROKER_API_KEY")
    if not all("!" <= character <= "~" for character in key):
        raise InvalidParameter("the API key holds white space or other characters that keys do not have; copy it again")
