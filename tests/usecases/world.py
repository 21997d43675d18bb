"""
A whole broker without HTTP: the real store, writer, issuer and use cases; only the Package Managers are fakes.
"""

import base64
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass

from broker.domain.decided import Deciding, Rules
from broker.domain.identity import ApiKey, Caller, Role
from broker.domain.integrations import Draft
from broker.domain.plan import Defaults
from broker.domain.secrets import Secret
from broker.domain.templates import OutboundRules, Template
from broker.issuer import Issuer
from broker.storage.snapshot import Snapshot
from broker.storage.transaction import SqlStore
from broker.storage.writer import GroupCommitWriter
from broker.usecases.finish_build import FinishBuild
from broker.usecases.manage_content import ManageContent
from broker.usecases.manage_integrations import ManageIntegrations
from broker.usecases.manage_keys import ManageKeys
from broker.usecases.manage_people import ManagePeople
from broker.usecases.note_use import NoteUse
from broker.usecases.open_build import OpenBuild
from broker.usecases.road import Act, Road
from broker.usecases.verify_integration import VerifyIntegration
from tests.domain.samples import EVERYONE, config, group, guid, user
from tests.fakes.clock import NOON
from tests.fakes.ids import CountingIds
from tests.storage.databases import engine_on, look

DEFAULTS = Defaults("package-manager", "connect", "ES256")
RULES = Rules("https://broker.example/", DEFAULTS, "broker", 60, default_duration=3600, max_duration=7200)

ROBOT = user(1, "robot", Role.ADMINISTRATOR)
ALICE = user(2, "alice", email="alice@example.com", first_name="Alice", last_name="Liddell")
BOB = user(3, "bob")
VICTOR = user(4, "victor", Role.VIEWER)
LEO = user(5, "leo", locked=True)
PEOPLE = (ROBOT, ALICE, BOB, VICTOR, LEO)
ANALYSTS = group(101, "analysts")


def key_text(person):
    """
    Return the text of the one API key that a person has.
    """
    return f"pcb_canary-key-of-{person.username}"


def sha256(person):
    return Secret(key_text(person)).sha256()


def act(person=ROBOT, role=None):
    """
    Return a request of this person, with a capped key where a role is given.
    """
    return Act(Caller(person, role or person.role, "1"), "c-1")


@dataclass
class Broker:
    """
    One process of the broker.
    """

    store: SqlStore
    policy: Snapshot
    recorder: GroupCommitWriter
    open_build: OpenBuild
    finish_build: FinishBuild
    integrations: ManageIntegrations
    people: ManagePeople
    keys: ManageKeys
    content: ManageContent
    verify_integration: VerifyIntegration
    note_use: NoteUse
    file: object

    def change(self, work):
        """
        Change the policy behind the back of the use cases.
        """
        with self.store.transaction() as transaction:
            result = work(transaction)
            transaction.policy_changed()
        return result

    def admit(self, number, access=EVERYONE, name=None, **fields):
        """
        Create an integration with a guid that can be told.
        """
        draft = Draft(name or f"Integration {number}", "", config(**fields), access)
        return self.change(lambda t: t.integrations.add(guid(number), draft, NOON))

    def read(self, sql, *values):
        return look(self.file, sql, *values)

    def audit(self):
        """
        Return action, outcome and detail of every event, in order.
        """
        return [
            (action, outcome, json.loads(detail))
            for action, outcome, detail in self.read("SELECT action, outcome, detail FROM audit ORDER BY seq")
        ]

    def actions(self):
        return [action for action, _, _ in self.audit()]


def populate(broker):
    """
    Everybody has an account and a key, and nobody is in a group.
    """

    def work(transaction):
        for person in PEOPLE:
            transaction.people.add_user(person)
            transaction.people.add_key(ApiKey("", person.guid, "a key", sha256(person), None, NOON))
        transaction.people.add_group(ANALYSTS)

    broker.change(work)


@contextmanager
def running(file, *, ring, clock, package_manager, series=1):
    """
    Start a broker on a database; another `series` makes it a replica with other ids.
    """
    ids = CountingIds(series)
    with engine_on(file, busy_ms=200) as engine, closing(GroupCommitWriter(engine)) as recorder:
        policy = Snapshot(engine)
        store = SqlStore(engine, policy, ids)
        deciding = Deciding(RULES, ids.guid, ids.jti)
        road = Road(store, clock)
        template = Template(OutboundRules(allow_cleartext=False, allow_loopback=False), frozenset({"RS256", "ES256"}))
        yield Broker(
            store,
            policy,
            recorder,
            OpenBuild(policy, recorder, Issuer(ring), package_manager, clock, ids, deciding),
            FinishBuild(policy, store, recorder, clock),
            ManageIntegrations(road, ids, clock, template, DEFAULTS),
            ManagePeople(road, ids, clock),
            ManageKeys(road, ids, clock),
            ManageContent(road, ids, clock),
            VerifyIntegration(policy, recorder, Issuer(ring), package_manager, clock, ids, RULES),
            NoteUse(policy, recorder, clock),
            file,
        )


def claims_of(exchange):
    """
    Decode the payload of an assertion that arrived somewhere.
    """
    payload = exchange.assertion.reveal().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
