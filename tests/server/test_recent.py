"""What was used last stays in memory, for all threads."""

from concurrent.futures import ThreadPoolExecutor

from lsml.server.recent import Recent


def test_the_value_that_was_used_longest_ago_goes_first():
    recent: Recent[int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_the_first_value_stays_until_it_is_replaced_or_dropped():
    recent: Recent[int] = Recent()
    assert recent.put("a", 1) == 1
    assert recent.put("a", 2) == 1
    recent.replace("a", 3)
    assert recent.get("a") == 3
    recent.drop("a")
    recent.drop("never known")
    assert recent.get("a") is None


def test_threads_share_one_value_for_a_key():
    recent: Recent[object] = Recent(8)
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda number: (number % 4, recent.put(number % 4, object())), range(400)))
    assert all(value is recent.get(key) for key, value in kept)
