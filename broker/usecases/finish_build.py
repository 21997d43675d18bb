"""
Finish a build: its credentials end by expiry, its record ends now.
"""

import asyncio
from dataclasses import dataclass

from broker.domain.audit import Action, Event
from broker.domain.builds import Build, BuildEnd
from broker.domain.callers import Right, identify, is_allowed
from broker.errors import NotFound
from broker.ports import Clock, PolicySource, Recorder, Store


@dataclass(frozen=True, slots=True)
class FinishBuild:
    """Record that a build is over; doing it twice changes nothing."""

    policy: PolicySource
    store: Store
    recorder: Recorder
    clock: Clock

    async def __call__(self, key_sha256: str, build_guid: str, correlation_id: str) -> None:
        """
        Finish a build of this caller; an administrator may finish any.

        Raises InvalidLogin, RecordUnavailable, and NotFound alike for a build that does not exist and for one of
        somebody else.
        """
        policy = await asyncio.to_thread(self.policy.refresh)
        now = self.clock.now()
        caller = identify(policy, key_sha256, now)
        build = await asyncio.to_thread(self._build, build_guid)
        own = build is not None and build.caller_guid == caller.user.guid
        if build is None or not (own or is_allowed(caller, Right.BUILD_FOR_ANYONE)):
            raise NotFound(f"there is no build {build_guid} that this caller opened")
        if build.finished_time is None:
            event = Event(now, caller.user.guid, Action.BUILD_FINISHED, build.guid, correlation_id=correlation_id)
            await self.recorder.record([BuildEnd(build.guid, now), event])

    def _build(self, guid: str) -> Build | None:
        with self.store.reading() as transaction:
            return transaction.build(guid)
