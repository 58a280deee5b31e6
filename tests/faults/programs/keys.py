"""T-KEY-1: the keys of n locks and n gateways; T-PAIR-3: of one lock paired again and again. Argument: n.

Link key, storage key and the gateway's secret are made by the code that ships; all are distinct, their bytes even.
"""

import score

from firmware.gateway import identity
from firmware.lib import crypto
from firmware.lib.messages import pairing_client
from firmware.system import store
from firmware.system.vault import Vault
from tests.unit.lock_rig import Nvs, Rig, erase

(N,) = score.arguments()
_FOLDER = score.scratch("keys")
_CHI2_255 = 347.7  # p = 0.0001 with 255 degrees of freedom: the row fails by chance once in 10^4 runs a kind


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


def judge(name, keys, result):
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
    links = []
    storages = []
    secrets = []
    folder = _FOLDER + "-vault"
    for _ in range(N):
        rig.reach("open")
        answer = rig.ask(0x19, pairing_client.get_aes_key(), crypto.DEFAULT_KEY)
        links.append(bytes(pairing_client.aes_key(answer)))
        nvs = Nvs()
        erase(folder)
        store.make_folder(folder)
        Vault(folder, nvs).save("keys", b"x")
        storages.append(nvs.get("gatehouse", "dsk"))
        secrets.append(bytes(identity.own_key(Board())[0]))
    judge("link", links, result)
    judge("storage", storages, result)
    judge("gateway", secrets, result)
    everything = set(links) | set(key[:16] for key in storages) | set(key[:16] for key in secrets)
    result.check(len(everything) == 3 * N, "keys of different kinds repeat")
    erase(_FOLDER)
    erase(folder)
    result.end()


main()
