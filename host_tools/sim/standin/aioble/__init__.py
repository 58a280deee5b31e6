# A stand-in for aioble 0.6 in the simulator: the part of its documented API that BLE programs commonly use,
# written anew.
# Not here: L2CAP channels, which an ESP32 does not have.
# ruff: noqa: F401
from .central import scan
from .core import GattError, config, log_error, log_info, log_warn, stop
from .device import Device, DeviceDisconnectedError
from .peripheral import advertise
from .server import BufferedCharacteristic, Characteristic, Descriptor, Service, register_services

ADDR_PUBLIC = 0
ADDR_RANDOM = 1
