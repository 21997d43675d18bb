"""
Small disks, for tests of what happens when one is full or read-only.
"""

import os
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def small_disk(folder, size="8m"):
    """
    Mount a file system of `size` at a new folder; whoever may not mount skips, and says so.
    """
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder)
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED, this user may not mount a small disk: {mounted.stderr.strip()}; run it as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """
    Leave not a single byte; return the file to delete.
    """
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    assert 0 == os.statvfs(folder).f_bavail
    return ballast


def make_read_only(folder):
    done = _mount("-o", "remount,ro", folder)
    assert 0 == done.returncode, done.stderr


def _mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
