import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.hosts import Host, read_properties, recognise


def release(**properties):
    return "".join(f"{name}={value}\n" for name, value in properties.items())


UBUNTU_22_04 = """\
PRETTY_NAME="Ubuntu 22.04.5 LTS"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.5 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
HOME_URL="https://www.ubuntu.com/"
UBUNTU_CODENAME=jammy
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (UBUNTU_22_04, "jammy"),
        (UBUNTU_22_04.replace("UBUNTU_CODENAME=jammy\n", ""), "jammy"),
        (UBUNTU_22_04.replace("\n", "\r\n"), "jammy"),
        # derivatives name the Ubuntu that they are built on
        (
            release(ID="linuxmint", ID_LIKE='"ubuntu debian"', VERSION_CODENAME="wilma", UBUNTU_CODENAME="noble"),
            "noble",
        ),
        (release(ID="pop", ID_LIKE='"ubuntu debian"', VERSION_CODENAME="jammy", UBUNTU_CODENAME="jammy"), "jammy"),
        (release(ID="linuxmint", ID_LIKE="debian", VERSION_CODENAME="faye", DEBIAN_CODENAME="bookworm"), None),
        # Debian
        (release(ID="debian", VERSION_ID='"12"', VERSION_CODENAME="bookworm"), "bookworm"),
        (release(ID="debian", VERSION_CODENAME="forky"), "forky"),
        (release(ID="debian", PRETTY_NAME='"Debian GNU/Linux forky/sid"'), None),
        (release(ID="raspbian", VERSION_CODENAME="bookworm"), None),
        # CentOS, and the family of Red Hat before and after 9
        (release(ID='"centos"', VERSION_ID='"7"'), "centos7"),
        (release(ID='"centos"', VERSION_ID='"8"'), "centos8"),
        (release(ID='"centos"', VERSION_ID='"9"'), "centos9"),
        *[
            (release(ID=f'"{family}"', VERSION_ID=f'"{version}"'), code)
            for family in ("rhel", "rocky", "almalinux")
            for version, code in [
                ("7.9", "centos7"),
                ("8", "centos8"),
                ("8.10", "centos8"),
                ("9", "rhel9"),
                ("9.6", "rhel9"),
                ("10", "rhel10"),
                ("10.1", "rhel10"),
            ]
        ],
        (release(ID='"ol"', VERSION_ID='"9.4"'), None),
        (release(ID="fedora", VERSION_ID="42"), None),
        # SUSE
        (release(ID='"sles"', VERSION_ID='"15.6"'), "opensuse156"),
        (release(ID='"sles"', VERSION_ID='"15.3"'), "opensuse156"),
        (release(ID='"sles"', VERSION_ID='"15"'), "opensuse156"),
        (release(ID='"sles"', VERSION_ID='"12.5"'), "opensuse125"),
        (release(ID='"sles"', VERSION_ID='"16.0"'), "opensuse160"),
        (release(ID='"suse"', VERSION_ID='"15.4"'), "opensuse156"),
        (release(ID='"opensuse-leap"', VERSION_ID='"15.5"'), "opensuse156"),
        (release(ID='"opensuse-leap"', VERSION_ID='"42.3"'), "opensuse423"),
        (release(ID='"opensuse-tumbleweed"', VERSION_ID='"20261101"'), None),
        # Amazon
        (release(ID='"amzn"', VERSION_ID='"2"'), "centos7"),
        (release(ID='"amzn"', VERSION_ID='"2023"'), None),
        (release(ID='"amzn"', VERSION_ID='"2018.03"'), None),
        # no rule
        (release(ID="alpine", VERSION_ID="3.22.1"), None),
        (release(ID="arch"), None),
        (release(ID="nixos", VERSION_ID='"25.05"', VERSION_CODENAME="warbler"), None),
        # garbage
        ("", None),
        ("\0\0\0", None),
        ("ID", None),
        ("=ubuntu\nVERSION_CODENAME=jammy", None),
        (release(ID="ubuntu"), None),
        (release(ID="ubuntu", VERSION_CODENAME='""'), None),
        (release(ID="ubuntu", VERSION_CODENAME='"jammy'), None),
        (release(ID="rhel"), None),
        (release(ID="rhel", VERSION_ID="nine"), None),
        (release(ID="rhel", VERSION_ID="9beta"), None),
        (release(ID="rhel", VERSION_ID="\u0669"), None),
        (release(ID="centos", VERSION_ID="1" * 5000), None),
        (release(ID="Ubuntu", VERSION_CODENAME="jammy"), None),
        # what would become another URL
        (release(UBUNTU_CODENAME="../../evil"), None),
        (release(UBUNTU_CODENAME="jammy/latest?"), None),
        (release(ID="debian", VERSION_CODENAME="Bookworm"), None),
        (release(ID="debian", VERSION_CODENAME="__linux__"), None),
        (release(ID="debian", VERSION_CODENAME="b" * 33), None),
    ],
)
def test_the_distribution_is_what_renv_takes_it_for(text, code):
    assert code == recognise(text, "x86_64").code


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [
        ("x86_64", "x86_64"),
        ("amd64", "x86_64"),
        ("AMD64", "x86_64"),
        ("aarch64", "arm64"),
        ("arm64", "arm64"),
        (" aarch64\n", "arm64"),
        ("ppc64le", "ppc64le"),
        ("", ""),
    ],
)
def test_the_architecture_has_the_package_managers_name(machine, architecture):
    assert architecture == recognise(UBUNTU_22_04, machine).architecture


def test_a_host_has_a_name_for_people():
    assert "jammy, x86_64" == str(recognise(UBUNTU_22_04, "x86_64"))
    assert "Alpine Linux v3.22, arm64" == str(recognise('ID=alpine\nPRETTY_NAME="Alpine Linux v3.22"', "aarch64"))
    assert "alpine, x86_64" == str(recognise("ID=alpine", "x86_64"))
    assert Host(None, "x86_64", "no os-release") == recognise("", "x86_64")


def test_properties_are_read_with_their_quotes_taken_off():
    text = """
# a comment
ID=first
  ID="second one"
NAME='single $quoted'
ESCAPED="a \\"b\\" \\\\c"
EMPTY=
UNFINISHED="x
TWO=a b
not a property
SIGN=a=b#c
bad-name=x
"""

    assert {
        "ID": "second one",
        "NAME": "single $quoted",
        "ESCAPED": 'a "b" \\c',
        "EMPTY": "",
        "UNFINISHED": "",
        "TWO": "",
        "SIGN": "a=b#c",
    } == read_properties(text)


@given(st.text(), st.text())
def test_no_os_release_is_a_fault_and_no_code_leaves_its_segment_of_a_url(text, machine):
    host = recognise(f"ID=ubuntu\n{text}\nVERSION_CODENAME={text}", machine)

    assert host.code is None or (host.code.isascii() and host.code.replace("_", "").isalnum())
