# MicroPython's unix port with the firmware frozen in, on which `make frozen` tests and measures what a chip would run.
include("$(MPY_DIR)/extmod/asyncio")
include("../manifest.py")
package("umqtt", base_path="../../.cache/micropython-lib")
