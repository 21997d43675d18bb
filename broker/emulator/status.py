"""
What `/__api__/status` tells: the documented shape, with the distributions that URL rewriting asks for.
"""

from collections.abc import Mapping

VERSION = "2026.10.0"
"""The version that the emulator claims; clients compare it, so it is of the product's form."""

R_VERSIONS = ("4.1", "4.2", "4.3", "4.4", "4.5", "4.6")

_X86 = ("x86_64",)
_BOTH = ("x86_64", "arm64")

DISTRIBUTIONS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "focal": ("ubuntu", "20.04", _X86),
    "jammy": ("ubuntu", "22.04", _X86),
    "noble": ("ubuntu", "24.04", _BOTH),
    "bullseye": ("debian", "11", _X86),
    "bookworm": ("debian", "12", _X86),
    "centos7": ("centos", "7", _X86),
    "centos8": ("centos", "8", _X86),
    "rhel9": ("redhat", "9", _BOTH),
    "rhel10": ("redhat", "10", _BOTH),
    "opensuse156": ("opensuse", "15.6", _X86),
    "manylinux_2_28": ("manylinux", "2_28", _BOTH),
}
"""By `binaryURL`: distribution, release, architectures."""


def status() -> dict[str, object]:
    """Return the public status document."""
    return {
        "version": VERSION,
        "emulator": True,
        "r_versions": list(R_VERSIONS),
        "distros": [
            {
                "name": code,
                "os": "linux",
                "binaryURL": code,
                "binaries": True,
                "distribution": distribution,
                "release": release,
                "arch": list(architectures),
            }
            for code, (distribution, release, architectures) in DISTRIBUTIONS.items()
        ],
    }
