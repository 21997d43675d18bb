"""
What every Recorder promises.
"""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from broker.domain.audit import Action, Event, Outcome
from broker.domain.builds import Build, BuildEnd, CredentialRecord, Decision
from broker.domain.identity import KeyUsed, UserActive
from broker.errors import PolicyChanged, RecordUnavailable
from tests.domain.samples import guid, user
from tests.fakes.clock import NOON


def build(number=1):
    return Build(guid(number), guid(2), guid(3), guid(4), NOON, NOON + timedelta(hours=1))


def decision(number=1, **fields):
    parts = {
        "wanted": ("repos:read:cran",),
        "granted": [{"integration_guid": guid(201), "scopes": "repos:read:cran"}],
        "planned": [{"machine": "a.example", "jti": "jti-1"}],
        "skipped": [],
    }
    return Decision(guid(1000 + number), guid(number), 1, NOON, guid(2), **{**parts, **fields})


def credential(number=1, **fields):
    parts = {
        "guid": guid(2000 + number),
        "build_guid": guid(number),
        "decision_guid": guid(1000 + number),
        "machine": "a.example",
        "ppm_url": "https://a.example",
        "scopes": "repos:read:cran",
        "integration_guids": (guid(201), guid(202)),
        "assertion_jti": f"jti-{number}",
        "assertion_sha256": "a" * 64,
        "token_sha256": "b" * 64,
        "created_time": NOON,
        "expires_time": NOON + timedelta(hours=1),
        "problem": None,
    }
    return CredentialRecord(**{**parts, **fields})


def event(target=None, **detail):
    return Event(NOON, guid(4), Action.BUILD_OPENED, target, Outcome.ALLOWED, "c-1", detail)


class RecorderContract:
    """
    Inherit, and give the fixtures `recorder`; `read`, a function from SQL to rows that looks over a connection of its
    own; `move_policy`, a function that changes the policy and returns its new version; and `people`, a function that
    stores a user with a key of this SHA-256.
    """

    @pytest.fixture
    def recorder(self):
        raise NotImplementedError

    @pytest.fixture
    def read(self):
        raise NotImplementedError

    @pytest.fixture
    def move_policy(self):
        raise NotImplementedError

    @pytest.fixture
    def people(self):
        raise NotImplementedError

    async def test_what_is_recorded_is_there_for_others_when_the_call_returns(self, recorder, read):
        await recorder.record([build(), decision(), credential(), event(guid(1))])

        assert [(guid(1), guid(2), guid(3), guid(4))] == read(
            "SELECT guid, owner_guid, content_guid, caller_guid FROM builds"
        )
        assert [(guid(1), 1)] == read("SELECT build_guid, policy_version FROM decisions")
        assert [("a" * 64, "b" * 64, None)] == read("SELECT assertion_sha256, token_sha256, problem FROM credentials")
        assert [("build.opened", guid(1), "allowed", "c-1")] == read(
            "SELECT action, target, outcome, correlation_id FROM audit"
        )

    async def test_what_was_decided_can_be_read_as_json(self, recorder, read):
        await recorder.record([build(), decision(), credential(), event(warnings=["\u00e9"], role=Outcome.ALLOWED)])

        ((wanted, granted, planned, skipped),) = read("SELECT wanted, granted, planned, skipped FROM decisions")
        assert ["repos:read:cran"] == json.loads(wanted)
        assert [{"integration_guid": guid(201), "scopes": "repos:read:cran"}] == json.loads(granted)
        assert ([{"machine": "a.example", "jti": "jti-1"}], []) == (json.loads(planned), json.loads(skipped))
        assert [guid(201), guid(202)] == json.loads(read("SELECT integration_guids FROM credentials")[0][0])
        assert {"warnings": ["\u00e9"], "role": "allowed"} == json.loads(read("SELECT detail FROM audit")[0][0])

    async def test_rows_may_come_in_any_order(self, recorder, read):
        """
        A build and its end may wait for the same batch.
        """
        end = BuildEnd(guid(1), NOON + timedelta(minutes=5))
        await recorder.record([end, event(), credential(), decision(), build()])

        assert [(_micro(end.time),)] == read("SELECT finished_time FROM builds")

    async def test_only_the_first_end_of_a_build_counts(self, recorder, read):
        await recorder.record([build(1), build(2)])
        await recorder.record([BuildEnd(guid(1), NOON)])
        await recorder.record([BuildEnd(guid(1), NOON + timedelta(hours=1))])

        assert [(guid(1), _micro(NOON)), (guid(2), None)] == read(
            "SELECT guid, finished_time FROM builds ORDER BY guid"
        )

    async def test_nothing_to_record_is_recorded_at_once(self, recorder, read):
        await recorder.record([])

        assert [(0,)] == read("SELECT count(*) FROM audit")

    async def test_a_decision_on_the_policy_of_now_is_recorded(self, recorder, read, move_policy):
        await recorder.record([build()], policy_version=move_policy())

        assert [(1,)] == read("SELECT count(*) FROM builds")

    @pytest.mark.parametrize("off", [-1, 1])
    async def test_a_decision_on_another_policy_is_not_recorded(self, recorder, read, move_policy, off):
        version = move_policy()

        with pytest.raises(PolicyChanged):
            await recorder.record([build(), decision(), event()], policy_version=version + off)

        assert [(0, 0, 0)] == read(
            "SELECT (SELECT count(*) FROM builds), (SELECT count(*) FROM decisions), (SELECT count(*) FROM audit)"
        )

    async def test_what_does_not_depend_on_the_policy_is_recorded_whatever_it_is(self, recorder, read, move_policy):
        move_policy()
        await recorder.record([event()])

        assert [(1,)] == read("SELECT count(*) FROM audit")

    async def test_outdated_decisions_do_not_hurt_their_neighbours(self, recorder, read, move_policy):
        version = move_policy()
        outcomes = await asyncio.gather(
            *(recorder.record([build(n)], policy_version=version - n % 2) for n in range(20)), return_exceptions=True
        )

        assert [PolicyChanged if n % 2 else None for n in range(20)] == [each and type(each) for each in outcomes]
        assert [(10,)] == read("SELECT count(*) FROM builds")

    @pytest.mark.parametrize(
        "bad",
        [
            [build(1)],
            [decision(99)],
            [build(99), decision(99), replace(event(), time=datetime(2026, 1, 1))],  # noqa: DTZ001 - a naive time
            [build(99), event(text="\ud800")],
            [build(99), replace(event(), actor="\ud800")],
            [build(99), event(value=object())],
            [build(99), replace(event(), correlation_id=object())],
            [build(99), decision(99), credential(99, assertion_jti=None)],
            [build(99), decision(99), credential(99), credential(99)],
            [build(99), "not a row"],
        ],
        ids=[
            "there already",
            "no build",
            "naive time",
            "no text in JSON",
            "no text",
            "no JSON",
            "no value",
            "null",
            "twice",
            "no row",
        ],
    )
    async def test_rows_that_are_refused_do_not_hurt_their_neighbours(self, recorder, read, bad):
        await recorder.record([build(1)])

        outcomes = await asyncio.gather(
            *(recorder.record([build(n), event()]) for n in range(10, 15)),
            recorder.record(bad),
            *(recorder.record([build(n), event()]) for n in range(15, 20)),
            return_exceptions=True,
        )

        assert isinstance(outcomes.pop(5), RecordUnavailable)
        assert [None] * 10 == outcomes
        assert [(11,)] == read("SELECT count(*) FROM builds")
        assert [(10,)] == read("SELECT count(*) FROM audit")

    # --- notes --------------------------------------------------------------------------------------------------------
    async def test_a_note_that_is_waited_for_is_there_for_others_afterwards(self, recorder, read):
        await asyncio.to_thread(recorder.note, [event(guid(1))], patience=10)

        assert [(guid(1),)] == read("SELECT target FROM audit")

    async def test_a_note_is_written_although_nobody_waits(self, recorder, read):
        recorder.note([event(guid(1))])
        await recorder.record([event(guid(2))])

        assert [(guid(1),), (guid(2),)] == read("SELECT target FROM audit ORDER BY target")

    async def test_a_note_that_is_refused_hurts_neither_its_sender_nor_its_neighbours(self, recorder, read, caplog):
        recorder.note([event(value=object())])
        await recorder.record([event(guid(2))])

        assert [(guid(2),)] == read("SELECT target FROM audit")
        assert "a note was not written" in caplog.text

    async def test_a_note_needs_no_event_loop(self, recorder, read):
        thread = threading.Thread(target=lambda: recorder.note([event(guid(1))], patience=10))
        thread.start()
        await asyncio.to_thread(thread.join)

        assert [(guid(1),)] == read("SELECT target FROM audit")

    async def test_the_last_use_of_a_key_never_moves_back(self, recorder, read, people):
        people(user(1), "a" * 64)
        people(user(2, "bob"), "b" * 64)
        for minutes in (5, 10, 0):
            then = NOON + timedelta(minutes=minutes)
            await recorder.record([KeyUsed("a" * 64, then), UserActive(guid(1), then), KeyUsed("f" * 64, then)])

        latest = _micro(NOON + timedelta(minutes=10))
        assert [(latest,), (None,)] == read("SELECT active_time FROM api_keys ORDER BY sha256")
        assert [(latest,), (None,)] == read("SELECT active_time FROM users ORDER BY guid")

    async def test_a_waiter_that_goes_away_does_no_harm(self, recorder, read):
        waiters = [asyncio.ensure_future(recorder.record([build(n)])) for n in range(20)]
        await asyncio.sleep(0)
        for waiter in waiters[::2]:
            waiter.cancel()
        outcomes = await asyncio.gather(*waiters, return_exceptions=True)
        await recorder.record([build(99)])

        assert [asyncio.CancelledError, type(None)] * 10 == [type(each) for each in outcomes]
        assert {(guid(n),) for n in range(1, 20, 2)} <= set(read("SELECT guid FROM builds"))
        assert (guid(99),) in read("SELECT guid FROM builds")

    async def test_a_thousand_records_from_two_loops_are_all_written(self, recorder, read):
        async def many(start):
            await asyncio.gather(*(recorder.record([build(n), event(guid(n))]) for n in range(start, start + 500)))

        other = threading.Thread(target=lambda: asyncio.run(many(10_000)))
        other.start()
        await many(20_000)
        await asyncio.to_thread(other.join)

        assert [(1000,)] == read("SELECT count(*) FROM builds")
        assert [(1000,)] == read("SELECT count(DISTINCT target) FROM audit")


def _micro(instant):
    return int(instant.timestamp()) * 1_000_000
