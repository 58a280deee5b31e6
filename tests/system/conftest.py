"""A site that the tests of one module share: pairing and start-up are paid for once, the tests stay small.

A test that must have the lock to itself (a jam, a reset, other settings) makes a `Bench` of its own.
"""

import asyncio

import pytest

from tests.system.bench import Bench


class Shared:
    """A running bench whose lock is paired and known to the gateway. `run(story)` awaits `story(bench)`.

    `entry` is the lock's in the owner's key book. Tests leave no credential behind that another could trip over.
    """

    def __init__(self, folder, **spec) -> None:
        self._loop = asyncio.new_event_loop()
        self.bench = Bench(folder, **spec)
        self._loop.run_until_complete(self.bench.__aenter__())
        try:
            self.entry = self._loop.run_until_complete(self.bench.adopt())
        except BaseException:
            self.close()
            raise

    def run(self, story):
        """Run one test's coroutine function to its end."""
        return self._loop.run_until_complete(story(self.bench))

    def close(self) -> None:
        self._loop.run_until_complete(self.bench.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """One site for a module; its description from the module's SITE, where it has one."""
    site = Shared(tmp_path_factory.mktemp("site"), **getattr(request.module, "SITE", {}))
    yield site
    site.close()
