# MicroPython for plain ESP32 with Gatehouse frozen in. Never built by us for the chip. No aioble, which the firmware
# does without (firmware/ble/radio.py), and no `ssl`: there is no room for TLS.
module("_boot.py", base_path="modules")
module("flashbdev.py", base_path="$(PORT_DIR)/modules")
module("inisetup.py", base_path="$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
require("umqtt.simple")
include("../manifest.py")
