"""
Content, as far as a build needs it.
"""

import pytest

from broker.domain.content import checked_content_name
from broker.errors import InvalidParameter


@pytest.mark.parametrize("name", ["r", "report", "Sales_2026-Q4", "0", "-", "x" * 64])
def test_a_name_is_what_a_url_can_carry(name):
    assert name == checked_content_name(name)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a/b", "a.b", "\u00e9t\u00e9", "a\n", "x" * 65, "x" * 5000, "..", "a\x00"], ids=ascii
)
def test_another_name_is_refused_and_not_repeated_at_length(name):
    with pytest.raises(InvalidParameter, match="name of content") as refused:
        checked_content_name(name)

    assert 500 > len(refused.value.message)
