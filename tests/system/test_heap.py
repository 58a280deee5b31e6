"""What the images take of the heap, in 32-bit objects, has not grown by more than 5 % over what is recorded, and not
over a budget that it has met.

`python -m bench.heap` shows where it went; `python -m bench.heap --record` takes over what is there now.
"""

import pytest

from bench import heap
from host_tools.boards import fetch32, frozen
from host_tools.boards.debian import Unavailable

pytestmark = pytest.mark.skipif(not fetch32.find32(), reason="set-up found no 32-bit MicroPython for this machine")


@pytest.mark.parametrize("build", heap.BUILDS)
@pytest.mark.parametrize("story", sorted({story for story, _ in heap.STORIES}))
def test_heap_stays_within_5_percent_of_the_record(story, build):
    if build == "frozen":
        try:
            frozen.build()
        except Unavailable as err:
            pytest.skip(str(err))
    assert heap.grown(story, build, heap.load()) == []
