"""What the lock says about itself, on the link and in advertisements. Source: lock-ble-link.md 2.5, 2.6, 8.10."""


class Identity:
    """`address` as bytes in printed order; texts of 0x90; scene, group and org of every frame sent."""

    def __init__(self, address, firmware, model="GATEHOUSE-L1", made="20261124", scene=2, group=1, org=1):
        self.address = address
        self.model = model
        self.hardware = "1.0"
        self.firmware = firmware
        self.made = made
        self.scene = scene
        self.group = group
        self.org = org
