"""T-KEY-1: the keys of n locks and n gateways; T-PAIR-3: of one lock paired again and again. Argument: n.

Link key, storage key and the gateway's secret are made by the code that ships; all are distinct, their bytes even.
"""

import score

from firmware.gateway import provisioning
from firmware.lib import crypto
from firmware.lib.messages import pairing_client
from firmware.system import store
from firmware.system.vault import Vault
from tests.unit.lock_rig import Nvs, Rig, erase

(N,) = score.arguments()
_FOLDER = score.scratch("keys")
# 255 degrees of freedom, p = 10^-6: at the 0.001 of security.md T-KEY-1 every 300th good run would fail
_CHI2_255 = 377


class Board:
    """NVS of a gateway; its public key is there already, since only secrets are drawn here."""

    def __init__(self):
        self._nvs = Nvs()

    def nvs_get(self, space, key):
        return bytes(32) if key == "x25519_public" else self._nvs.get(space, key)

    def nvs_set(self, space, key, value):
        self._nvs.set(space, key, value)

    def nvs_erase(self, space, key):
        self._nvs.erase(space, key)


class Keys:
    """n keys of one size in one block: kept apart, they would cut a heap of any size into small pieces."""

    def __init__(self, size):
        self._size = size
        self._octets = bytearray(N * size)
        self._used = 0

    def add(self, key):
        if len(key) != self._size:
            raise ValueError("a key of %d bytes" % len(key))
        self._octets[self._used : self._used + self._size] = key
        self._used += self._size

    def all(self, size=None):
        """Every key, or the first `size` bytes of each."""
        return [bytes(self._octets[at : at + (size or self._size)]) for at in range(0, self._used, self._size)]


def judge(name, kept, result):
    keys = kept.all()
    result.check(len(set(keys)) == len(keys), "%s: keys repeat" % name)
    result.n += len(keys) - 1
    counts = [0] * 256
    for key in keys:
        for octet in key:
            counts[octet] += 1
    expected = sum(counts) / 256
    chi2 = sum((count - expected) * (count - expected) for count in counts) / expected
    result.check(chi2 < _CHI2_255, "%s: chi2 %.1f" % (name, chi2))
    result.figures["chi2_" + name] = "%.1f" % chi2


def main():
    result = score.Score()
    rig = Rig(_FOLDER)
    links = Keys(16)
    storages = Keys(32)
    secrets = Keys(32)
    folder = _FOLDER + "-vault"
    for _ in range(N):
        rig.reach("open")
        answer = rig.ask(0x19, pairing_client.get_aes_key(), crypto.DEFAULT_KEY)
        links.add(pairing_client.aes_key(answer))
        nvs = Nvs()
        erase(folder)
        store.make_folder(folder)
        Vault(folder, nvs).save("keys", b"x")
        storages.add(nvs.get("gatehouse", "dsk"))
        secrets.add(provisioning.own_key(Board())[0])
    judge("link", links, result)
    judge("storage", storages, result)
    judge("gateway", secrets, result)
    everything = set(links.all() + storages.all(16) + secrets.all(16))
    result.check(len(everything) == 3 * N, "keys of different kinds repeat")
    erase(_FOLDER)
    erase(folder)
    result.end()


main()
