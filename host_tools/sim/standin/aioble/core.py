# The one user of bluetooth.BLE(): hands its IRQs to the parts that registered for them.
import bluetooth

log_level = 1  # 0 silent, 1 errors, 2 warnings, 3 everything

ble = bluetooth.BLE()
_parts = []  # [(irq handler, shutdown or None)]


def log_error(*args):
    if log_level > 0:
        print("[aioble] E:", *args)


def log_warn(*args):
    if log_level > 1:
        print("[aioble] W:", *args)


def log_info(*args):
    if log_level > 2:
        print("[aioble] I:", *args)


class GattError(Exception):
    def __init__(self, status):
        super().__init__(status)
        self._status = status


def ensure_active():
    # upstream keeps the radio's identity key in a file of the board's flash, whether the program pairs or not
    if not ble.active():
        from .security import load_secrets

        load_secrets()
        ble.active(True)


def config(*args, **kwargs):
    ensure_active()
    return ble.config(*args, **kwargs)


def stop():
    ble.active(False)
    for _, shutdown in _parts:
        if shutdown:
            shutdown()


def register_irq_handler(irq, shutdown):
    _parts.append((irq, shutdown))


def ble_irq(event, data):
    log_info(event, data)
    for irq, _ in _parts:
        verdict = irq(event, data)
        if verdict is not None:
            return verdict


ble.irq(ble_irq)
