"""
A whole build in process at two sizes of the policy: its cost grows with what the owner may use, not with what exists
(target 4).
"""

import asyncio
import statistics
import time
from datetime import UTC, datetime

from sqlalchemy import insert

from broker import config
from broker.domain.builds import BuildRequest
from broker.domain.integrations import Kind, Principal
from broker.storage import tables
from broker.storage.engine import open_engine, writing
from tests.bench.broker_app import administrator, data_folder, integration, services

NAME = "decisions"
TARGET = 1.5
SMALL = (10, 10, 5)
LARGE = (10_000, 1_000, 500)


def main(*, quick=False):
    large = (1_000, 100, 50) if quick else LARGE
    builds = 50 if quick else 400
    small_us, small_reload = measure(SMALL, builds)
    large_us, large_reload = measure(large, builds)
    ratio = large_us / small_us
    for size, cost, load in ((SMALL, small_us, small_reload), (large, large_us, large_reload)):
        users, groups, integrations = size
        print(
            f"{users} users, {groups} groups, {integrations} integrations: "
            f"{cost:.0f} µs of CPU a build, policy read in {load * 1000:.0f} ms"
        )
    print(f"ratio {ratio:.2f} (target at most {TARGET})")
    return {"small µs": small_us, "large µs": large_us, "ratio": ratio, "large reload s": large_reload}


def measure(size, builds):
    users, groups, integrations = size
    with data_folder("ES256", 0) as (folder, key):
        settings = config.Settings.model_validate_json((folder / "settings.json").read_text())
        fill(settings, users, groups)
        with services(settings) as found:
            act = administrator(found, key)
            for number in range(integrations):
                # The owner may use five of them, whatever their number.
                group = group_guid(0) if number < 5 else group_guid(1 + number % (groups - 1))
                found.integrations.create(
                    act,
                    integration(f"https://packages-{number}.example.com", principals=[Principal(Kind.GROUP, group)]),
                )
            began = time.perf_counter()
            services_policy_reload(found)
            reload_seconds = time.perf_counter() - began
            return asyncio.run(cpu_per_build(found, key, builds)), reload_seconds


def services_policy_reload(found):
    from broker.storage.snapshot import load  # noqa: PLC0415 - what a reload does, without waiting for a change

    with found.people.road.store.reading() as transaction:
        load(transaction._connection)


async def cpu_per_build(found, key, builds):
    request = BuildRequest(None, "user-0")
    rounds = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(builds):
            opened = await found.open_build(key.sha256(), request, "bench")
        rounds.append((time.process_time() - began) / builds * 1e6)
    assert 5 == len(opened.credentials)
    return statistics.median(rounds)


def user_guid(number):
    return f"00000000-0000-4000-8000-{number:012x}"


def group_guid(number):
    return f"00000000-0000-4000-9000-{number:012x}"


def fill(settings, users, groups):
    """
    Insert people as rows: this measures decisions, not the administration.
    """
    now = datetime.now(UTC)
    engine = open_engine(settings.storage_url)
    blank = {"email": "", "first_name": "", "last_name": "", "role": "publisher", "locked": False}
    with writing(engine) as connection:
        connection.execute(
            insert(tables.users),
            [
                {
                    **blank,
                    "guid": user_guid(n),
                    "username": f"user-{n}",
                    "username_folded": f"user-{n}",
                    "created_time": now,
                    "updated_time": now,
                }
                for n in range(users)
            ],
        )
        connection.execute(
            insert(tables.groups),
            [{"guid": group_guid(n), "name": f"group-{n}", "name_folded": f"group-{n}"} for n in range(groups)],
        )
        members = [{"user_guid": user_guid(0), "group_guid": group_guid(0)}]
        members += [
            {"user_guid": user_guid(n), "group_guid": group_guid(1 + (n + k) % (groups - 1))}
            for n in range(1, users)
            for k in range(min(20, groups - 1))
        ]
        connection.execute(insert(tables.members), members)
    engine.dispose()


if __name__ == "__main__":
    main()
