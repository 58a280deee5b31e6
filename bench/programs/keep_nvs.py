# A board's main.py that takes what /data/nvs.json says into its key-value store: [[space, key, value in hex], ...].
import json
import time

import esp32

with open("/data/nvs.json") as _file:
    for _space, _key, _value in json.load(_file):
        esp32.NVS(_space).set_blob(_key, bytes.fromhex(_value))
print("nvs kept")
while True:
    time.sleep(1)
