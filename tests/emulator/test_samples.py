"""
Sample packages: the same bytes each time, and what the real tools take.
"""

import zipfile

import pytest

from broker.emulator.archives import Kind, look_into
from broker.emulator.samples import make_r_package, make_wheel
from broker.errors import InvalidParameter


def test_the_same_package_has_the_same_bytes(tmp_path):
    wheels = [make_wheel(tmp_path / side, "a-b", "1.0", requires=["c"]).read_bytes() for side in ("x", "y")]
    sources = [make_r_package(tmp_path / side, "ab", "1.0").read_bytes() for side in ("x", "y")]

    assert wheels[0] == wheels[1]
    assert sources[0] == sources[1]


def test_the_files_are_named_as_their_tools_want(tmp_path):
    assert "a_b-1.0-py3-none-any.whl" == make_wheel(tmp_path, "A.b", "1.0").name
    assert "ab_1.0-2.tar.gz" == make_r_package(tmp_path, "ab", "1.0-2").name


def test_the_wheels_record_is_complete(tmp_path):
    with zipfile.ZipFile(make_wheel(tmp_path, "a", "1.0")) as wheel:
        recorded = [line.split(",")[0] for line in wheel.read("a-1.0.dist-info/RECORD").decode().splitlines()]

        assert sorted(wheel.namelist()) == sorted(recorded)


def test_the_emulator_reads_them(tmp_path):
    wheel = look_into(make_wheel(tmp_path, "a", "1.0"))
    source = look_into(make_r_package(tmp_path, "ab", "1.0", imports=["utils"]))

    assert (Kind.PYTHON, "a", "1.0") == (wheel.kind, wheel.name, wheel.version)
    assert (Kind.R, "ab", "1.0") == (source.kind, source.name, source.version)


@pytest.mark.parametrize(
    ("make", "name", "version"),
    [
        (make_wheel, "", "1.0"),
        (make_wheel, "../a", "1.0"),
        (make_wheel, "a-", "1.0"),
        (make_wheel, "a", "1.0/.."),
        (make_wheel, "a", "one"),
        (make_r_package, "a", "1.0"),
        (make_r_package, "a_b", "1.0"),
        (make_r_package, "1ab", "1.0"),
        (make_r_package, "ab", "1"),
        (make_r_package, "ab", "1.0\n"),
    ],
)
def test_a_name_that_no_package_can_have_is_refused_and_nothing_is_written(tmp_path, make, name, version):
    with pytest.raises(InvalidParameter):
        make(tmp_path, name, version)

    assert [] == list(tmp_path.iterdir())
