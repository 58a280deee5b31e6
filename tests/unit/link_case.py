"""What the tests of the lock's end of the link have in common: a lock, and a client that talks to it."""

import unittest

from firmware.lib import opcodes, records
from firmware.lib.messages import session_client
from tests.unit.lock_rig import Refused, Rig, erase


class LinkCase(unittest.TestCase):
    """A test module says in `folder` where the lock's flash lies."""

    folder = ""

    def setUp(self):
        self.rig = Rig(self.folder)

    def tearDown(self):
        erase(self.folder)

    def refused(self, error, command, plain=b"", **how):
        try:
            self.rig.ask(command, plain, **how)
        except Refused as err:
            self.assertEqual(err.error, error)
            return
        self.fail("%02x was not refused" % command)

    def types(self):
        """Walk the whole log; the types of its records."""
        found = []
        cursor = 0
        while True:
            cursor, page = session_client.log_page(self.rig.ask(opcodes.LOG, session_client.log_request(cursor)))
            if not page:
                return found
            found.extend(records.decode(raw).type for raw in page)
