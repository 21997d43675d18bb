"""
What a build system may ask for.
"""

import pytest

from broker.domain.builds import MAX_REPOSITORIES, BuildRequest
from broker.errors import InvalidParameter


@pytest.mark.parametrize("owner", [(None, None), ("guid", "name")])
def test_the_owner_is_named_in_exactly_one_way(owner):
    with pytest.raises(InvalidParameter, match="exactly one"):
        BuildRequest(*owner)


@pytest.mark.parametrize("number", [0, MAX_REPOSITORIES + 1])
def test_an_empty_list_of_repositories_is_not_taken_for_all_of_them(number):
    with pytest.raises(InvalidParameter, match="leave it out"):
        BuildRequest("guid", None, repositories=frozenset(map(str, range(number))))


@pytest.mark.parametrize("number", [1, MAX_REPOSITORIES])
def test_a_bounded_list_of_repositories_is_taken(number):
    repositories = frozenset(map(str, range(number)))

    assert repositories == BuildRequest("guid", None, repositories=repositories).repositories
