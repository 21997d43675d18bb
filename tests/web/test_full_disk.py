"""
A real full disk under a running broker.
"""

import pytest

from tests.web.disks import fill, small_disk
from tests.web.site import Broker, copy_of, refusal

pytestmark = pytest.mark.needs("mount")


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as folder:
        yield folder


async def test_a_full_disk_stops_builds_before_anything_is_minted_and_they_go_on_when_there_is_room(
    apps, disk, ring, populated
):
    """
    503 with Retry-After, no Package Manager is asked, nothing is lost, no restart is needed.
    """
    database, world = populated
    async with Broker(apps, copy_of(database, disk / "data"), ring, world).running() as broker:
        before = await broker.build()
        ballast = fill(disk)
        # The write-ahead log may have a page or two of room left.
        while (await broker.build()).status_code == 200:
            pass
        asked = len(broker.package_manager.received)
        refused = await broker.build()
        during = len(broker.package_manager.received)
        changed = await broker.send("POST", "/groups", {"name": "g" * 255})
        read = await broker.send("GET", "/users")
        ballast.unlink()
        after = await broker.build()

    assert (200, 200, 200) == (before.status_code, read.status_code, after.status_code)
    assert (503, 9030) == refusal(refused)
    assert refused.headers["retry-after"].isdecimal()
    assert "full" in refused.json()["error"]
    assert (503, 9030) == refusal(changed)
    assert asked == during
