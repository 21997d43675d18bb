"""
Work that comes round again beside the requests.
"""

import asyncio
import logging
import threading

import pytest

from broker.errors import FileFault
from broker.system.rounds import rounds


class Work:
    """
    Work that counts, and on some rounds fails.
    """

    def __init__(self, **faults):
        self.done, self.faults = 0, {int(number): fault for number, fault in faults.items()}
        self.reached = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self):
        self.done += 1
        if self.done == 4:
            self.loop.call_soon_threadsafe(self.reached.set)
        if self.done in self.faults:
            raise self.faults[self.done]


async def test_the_first_round_is_over_when_the_block_begins_and_the_last_when_it_ends():
    work = Work()

    async with rounds("work", work, lambda: 3600):
        assert 1 == work.done

    assert 1 == work.done


async def test_a_round_comes_after_every_pause():
    work, pauses = Work(), []

    async with rounds("work", work, lambda: pauses.append(1) or 0.001):
        await asyncio.wait_for(work.reached.wait(), 10)

    assert len(pauses) >= 3


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    ("fault", "said"), [(FileFault("it is not private"), "it is not private"), (ZeroDivisionError(), "a defect")]
)
async def test_a_round_that_fails_is_told_and_the_next_one_comes(caplog, number, fault, said):
    work = Work(**{str(number): fault})

    async with rounds("the rotation", work, lambda: 0.001):
        await asyncio.wait_for(work.reached.wait(), 10)

    assert [logging.ERROR] == [record.levelno for record in caplog.records]
    assert "the rotation" in caplog.text
    assert said in caplog.text
    assert ("Traceback" in caplog.text) == isinstance(fault, ZeroDivisionError)


async def test_the_end_waits_for_a_round_that_runs():
    began, go_on = asyncio.Event(), threading.Event()
    loop, rounds_done = asyncio.get_running_loop(), []

    def work():
        if rounds_done:
            loop.call_soon_threadsafe(began.set)
            go_on.wait(10)
        rounds_done.append(1)

    async with rounds("work", work, lambda: 0.001):
        await asyncio.wait_for(began.wait(), 10)
        loop.call_later(0.05, go_on.set)

    assert 2 == len(rounds_done)


async def test_an_exception_in_the_block_ends_the_rounds_and_goes_through():
    work = Work()

    with pytest.raises(ZeroDivisionError):
        async with rounds("work", work, lambda: 3600):
            raise ZeroDivisionError
    assert 1 == work.done
