# In place of MicroPython's own _boot.py: mounts the file system, then starts the radio, before the application is
# there. The Python heap is fixed, so nothing else wants this memory; if the radio cannot have it, that shows at once.
import gc

import vfs
from flashbdev import bdev

try:
    if bdev:
        vfs.mount(bdev, "/")
except OSError:
    import inisetup

    inisetup.setup()


def _start_radio():
    import bluetooth
    import network

    try:
        with open("/role") as file:
            role = file.read().strip()
    except OSError:  # nothing has been put on the board yet
        return
    if role == "gateway":
        network.WLAN(network.STA_IF).active(True)
    bluetooth.BLE().active(True)


try:
    _start_radio()
except OSError as err:
    print("the radio did not start:", err)
del _start_radio
gc.collect()
