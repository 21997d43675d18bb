"""
What every implementation of the PackageManager port promises.
"""

import asyncio
import itertools
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from broker.domain.netrc import Entry
from broker.domain.package_manager import LOGIN, PackageManagerUrl
from broker.domain.secrets import Secret
from broker.errors import AssertionRefused, ExchangeFailed, PackageManagerUnreachable, leaves
from broker.ports import PackageManager

_numbers = itertools.count()


def new_assertion() -> Secret:
    """Return an assertion that has not been used; nobody in these tests verifies it."""
    return Secret(f"eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiJ{next(_numbers):08}.c2lnbmF0dXJlLW9mLXRoZS1jYW5hcnk")


@pytest.mark.anyio
class PackageManagerContract:
    """
    Inherit, and give the fixtures: `package_manager`, `url` (gives tokens), `refusing_url` (accepts no assertion),
    `dead_url` (nobody is there) and `received` (a function that returns the URLs that assertions were sent to).
    """

    @pytest.fixture
    def package_manager(self) -> PackageManager:
        raise NotImplementedError

    @pytest.fixture
    def url(self) -> PackageManagerUrl:
        raise NotImplementedError

    @pytest.fixture
    def refusing_url(self) -> PackageManagerUrl:
        raise NotImplementedError

    @pytest.fixture
    def dead_url(self) -> PackageManagerUrl:
        raise NotImplementedError

    @pytest.fixture
    def received(self) -> Callable[[], list[str]]:
        raise NotImplementedError

    async def test_an_assertion_gives_a_token_that_a_netrc_can_carry(self, package_manager, url):
        given = await package_manager.exchange(url, new_assertion())

        assert Entry(machine=url.host, login=LOGIN, password=given.token)

    async def test_the_expiry_is_known_aware_and_in_the_future(self, package_manager, url):
        given = await package_manager.exchange(url, new_assertion())

        assert datetime.now(UTC) < given.expires_time

    async def test_two_assertions_give_two_tokens(self, package_manager, url):
        first = await package_manager.exchange(url, new_assertion())
        second = await package_manager.exchange(url, new_assertion())

        assert first.token != second.token

    async def test_an_assertion_goes_to_the_given_url_and_nowhere_else(
        self, package_manager, url, refusing_url, received
    ):
        await package_manager.exchange(url, new_assertion())

        assert [str(url)] == received()

    async def test_an_assertion_is_sent_once_even_when_it_is_refused(self, package_manager, refusing_url, received):
        with pytest.raises(AssertionRefused):
            await package_manager.exchange(refusing_url, new_assertion())

        assert [str(refusing_url)] == received()

    async def test_a_refused_assertion_is_not_worth_another_try(self, package_manager, refusing_url):
        with pytest.raises(AssertionRefused) as refused:
            await package_manager.exchange(refusing_url, new_assertion())

        assert not refused.value.retryable

    async def test_a_package_manager_that_is_not_there_may_come_back(self, package_manager, dead_url):
        with pytest.raises(PackageManagerUnreachable) as unreachable:
            await package_manager.exchange(dead_url, new_assertion())

        assert unreachable.value.retryable

    async def test_a_failure_is_a_leaf_that_names_the_host_and_not_the_assertion(
        self, package_manager, refusing_url, dead_url
    ):
        """
        The message becomes a problem of the build, which its caller reads (T35).
        """
        for bad_url in (refusing_url, dead_url):
            assertion = new_assertion()
            with pytest.raises(ExchangeFailed) as failed:
                await package_manager.exchange(bad_url, assertion)

            assert type(failed.value) in leaves(ExchangeFailed)
            assert bad_url.host in failed.value.message
            assert assertion.reveal()[-12:] not in "".join(traceback.format_exception(failed.value))

    async def test_a_failure_leaves_nothing_behind_that_hurts_the_next_exchange(
        self, package_manager, url, refusing_url, dead_url
    ):
        for bad_url in (dead_url, refusing_url):
            with pytest.raises(ExchangeFailed):
                await package_manager.exchange(bad_url, new_assertion())

        assert await package_manager.exchange(url, new_assertion())

    async def test_many_exchanges_at_once_do_not_mix_up_their_answers(self, package_manager, url, refusing_url):
        urls = [url, refusing_url] * 8
        outcomes = await asyncio.gather(
            *(package_manager.exchange(each, new_assertion()) for each in urls), return_exceptions=True
        )

        assert [each == refusing_url for each in urls] == [isinstance(each, AssertionRefused) for each in outcomes]
        assert len(urls) // 2 == len({each.token.reveal() for each in outcomes[::2]})
