"""
Work that comes round again and again beside the requests.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from broker.errors import BrokerError

_log = logging.getLogger(__name__)


@asynccontextmanager
async def rounds(name: str, work: Callable[[], None], pause: Callable[[], float]) -> AsyncIterator[None]:
    """
    Do `work` in a thread, before the block begins and then after every pause (in seconds) until it ends.

    A round that fails is logged and the next one comes all the same. The block ends when a running round has.
    """
    await _once(name, work)
    stop = asyncio.Event()
    task = asyncio.create_task(_until(stop, name, work, pause))
    try:
        yield
    finally:
        stop.set()
        await task


async def _until(stop: asyncio.Event, name: str, work: Callable[[], None], pause: Callable[[], float]) -> None:
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause())
            return
        await _once(name, work)


async def _once(name: str, work: Callable[[], None]) -> None:
    try:
        await asyncio.to_thread(work)
    except BrokerError as fault:
        _log.error("%s failed and is tried again: %s", name, fault.message)
    except Exception:  # noqa: BLE001 - the next round must come, whatever this one met
        _log.exception("%s met a defect and is tried again", name)
