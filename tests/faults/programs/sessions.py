"""T-SES-1: connects, ends and data of several links reach the engine in any order. Arguments: n interleavings, seed.

Each link has its own client, which logs in or not and then asks for what only an administrator may have; handles are
used again at once, as stacks do. Nobody may be answered but the link that is there, and no right may be inherited.
"""

import random

import score

from firmware.lib import crypto, frame, opcodes
from firmware.lib.messages import common, session_client
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Rig, erase

N, SEED = score.arguments()
_FOLDER = score.scratch("sessions")


class Client:
    """One link and what its client has been told on it."""

    def __init__(self, rig, link):
        self.rig = rig
        self.link = link
        self.challenge = None
        self.is_admin = False

    def send(self, command, plain):
        """(ok, data) of the answer, or None."""
        rig = self.rig
        sent = rig.engine.receive(self.link, frame.encode(command, crypto.encrypt(rig.key, plain)), rig.now_ms)
        if not sent:
            return None
        _, ok, data = common.reply(crypto.decrypt(rig.key, frame.decode(sent[0]).payload))
        return ok, data

    def step(self, result, is_live):
        """One request; judged by what the client knows of itself."""
        how = random.getrandbits(2)
        if how == 0:
            found = self.send(opcodes.CHECK_ADMIN, session_client.check_admin(ADMIN_PS))
            self.challenge = session_client.challenge(found[1]) if found and found[0] else None
        elif how == 1 and self.challenge:
            found = self.send(opcodes.CHECK_RANDOM, session_client.check_random(self.challenge, UNLOCK_KEY))
            self.challenge = None
            self.is_admin = self.is_admin or bool(found and found[0])
        else:
            found = self.send(opcodes.PASSCODE_LIST, b"\x00\x00")
            if found and found[0]:
                result.check(is_live and self.is_admin, "rights that were not won on this link")
                return 1
            if is_live and self.is_admin:
                result.check(False, "rights were lost")
        result.check(is_live or found is None, "a link that is not there was answered")
        return 0


def interleaving(rig, result, epoch):
    """Three links, their ends reported late, early, twice or never; the number of answers an administrator got."""
    links = [Client(rig, (random.getrandbits(1), epoch + n)) for n in range(3)]
    events = []
    for client in links:
        own = [("connect", client)] + [("data", client)] * random.randint(2, 8) + [("end", client)]
        if random.getrandbits(2) == 0:
            own.pop()  # its end is never reported
        events.append(own)
    waiting = []
    for own in events:  # mostly in order, and some things overtake or come again
        waiting += own
    for _ in range(random.randint(0, 6)):
        place, other = random.randint(0, len(waiting) - 1), random.randint(0, len(waiting) - 1)
        waiting[place], waiting[other] = waiting[other], waiting[place]
    for _ in range(random.randint(0, 3)):
        waiting.insert(random.randint(0, len(waiting)), random.choice(waiting))
    granted = 0
    live = None
    newest = epoch - 1
    for what, client in waiting:
        rig.now_ms += 1
        if what == "connect":
            rig.engine.connected(client.link, rig.now_ms)
            if client.link[1] > newest:
                newest = client.link[1]
                live = client
        elif what == "end":
            rig.engine.disconnected(client.link, rig.now_ms)
            live = None if live is client else live
        else:
            granted += client.step(result, live is client)
    if live is not None:
        rig.engine.disconnected(live.link, rig.now_ms)
    return granted


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER).paired()
    granted = 0
    epoch = rig.link[1] + 1
    for _ in range(N):
        granted += interleaving(rig, result, epoch)
        epoch += 3
    result.check(granted > N // 10, "administrators hardly ever got an answer: %d" % granted)
    result.figures["as_admin"] = granted
    erase(_FOLDER)
    result.end()


main()
