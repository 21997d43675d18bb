"""
Keys that live as long as the process.
"""

import pytest

from keys.backends.memory import MemoryKeyStore
from tests.contract.key_store import KeyStoreContract


class TestMemoryKeyStore(KeyStoreContract):
    @pytest.fixture
    def open_store(self):
        store = MemoryKeyStore()
        return lambda: store
