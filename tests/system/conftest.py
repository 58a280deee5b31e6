"""A site that the tests of one module share: pairing and start-up are paid for once, the tests stay small.

A test that must have the lock to itself (a jam, a reset, other settings) makes a `Bench` of its own.
"""

import asyncio
import threading

import pytest

from tests.system.bench import Bench


class Shared:
    """A running bench whose lock is paired, and known to the gateway if there is one. `run(story)` awaits
    `story(bench)`.

    Its loop runs in a thread of its own, so that boards are served between tests, too: one that nobody serves is reset
    by its watchdog. `entry` is the lock's in the owner's key book. Tests leave no credential behind that another could
    trip over.
    """

    def __init__(self, folder, **spec) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.bench = Bench(folder, **spec)
        self._do(self.bench.__aenter__())
        try:
            self.entry = self._do(self.bench.adopt() if self.bench.site.gateways else self.bench.pair())
        except BaseException:
            self.close()
            raise

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def run(self, story):
        """Run one test's coroutine function to its end."""
        try:
            return self._do(story(self.bench))
        except BaseException:
            self.bench.print_lines()
            raise

    def close(self) -> None:
        self._do(self.bench.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """One site for a module; its description from the module's SITE, where it has one."""
    site = Shared(tmp_path_factory.mktemp("site"), **getattr(request.module, "SITE", {}))
    yield site
    site.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One site without a gateway for a module."""
    site = Shared(tmp_path_factory.mktemp("alone"), gateways=0)
    yield site
    site.close()
