from datetime import UTC, datetime, timedelta

from broker.system.clock import SystemClock


def test_now_is_the_present_in_utc_and_knows_it():
    before = datetime.now(UTC)
    now = SystemClock().now()

    assert timedelta(0) == now.utcoffset()
    assert before <= now <= datetime.now(UTC)


def test_monotonic_time_does_not_go_back():
    clock = SystemClock()
    moments = [clock.monotonic() for _ in range(100)]

    assert sorted(moments) == moments
