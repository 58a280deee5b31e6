# MicroPython's `network` for simulated boards: a Wi-Fi station; its access point is the site. Sockets are the host's.
import _board

STA_IF = 0
AP_IF = 1
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010

_hostname = "mpy-esp32"
_country = "XX"


class WLAN:
    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    _made = {}

    def __new__(cls, interface_id=STA_IF):
        if interface_id not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        if interface_id not in cls._made:
            made = super().__new__(cls)
            made._init(interface_id)
            cls._made[interface_id] = made
        return cls._made[interface_id]

    def _init(self, interface_id):
        self._id = interface_id
        self._active = False
        self._address = None  # (ip, mask, gateway, dns) while connected
        self._asked = False
        self._fixed = None  # as _address, without DHCP
        self._linked = False  # associated: before an address, too
        self._reason = 0
        self._ssid = ""
        self._rssi = 0
        self._key = ""
        self._config = {"reconnects": -1, "pm": 1, "txpower": 20.0, "channel": 1}
        if interface_id == STA_IF:
            _board.handlers["wifi"] = self._on_wifi

    def _on_wifi(self, word, value=None, rssi_dbm=0):
        # the site says: linked (no address yet), up (with one), down or failed (with a reason; it keeps trying), gone
        if not self._active or not self._asked:
            return
        if word in ("up", "linked"):
            if self._fixed:
                self._address = self._fixed
            elif word == "up":
                self._address = (value, "255.255.255.0", "127.0.0.1", "127.0.0.1")
            self._linked = True
            self._rssi = rssi_dbm
            self._reason = 0
        elif word == "rssi":
            self._rssi = value
        else:
            self._address = None
            self._linked = False
            self._reason = value
            if word == "gone":
                self._asked = False

    def active(self, is_active=None):
        if is_active is None:
            return self._active
        if self._active and not is_active:
            self._forget()
        self._active = bool(is_active)
        return self._active

    def _forget(self):
        if self._asked:
            _board.post("wifi", "leave")
        self._asked = False
        self._linked = False
        self._address = None
        self._reason = 0

    def connect(self, ssid=None, key=None, *, bssid=None):
        if self._id != STA_IF:
            raise OSError("STA required")
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._asked and self._address is None:
            raise OSError("Wifi Internal State Error")
        if ssid is not None:
            self._ssid = ssid.decode() if isinstance(ssid, bytes) else ssid
            self._key = key.decode() if isinstance(key, bytes) else key or ""
        self._forget()
        self._asked = True
        _board.post("wifi", "join", self._ssid, self._key, self._config["reconnects"])

    def disconnect(self):
        if self._id != STA_IF:
            raise OSError("STA required")
        if not self._active:
            raise OSError("Wifi Not Started")
        self._forget()

    def isconnected(self):
        _board.pump()
        return self._address is not None

    def status(self, param=None):
        _board.pump()
        if param == "rssi":
            if not self._linked:
                raise OSError("Wifi Not Connected")
            return self._rssi
        if param is not None:
            raise ValueError("unknown status param")
        if self._id != STA_IF:
            raise ValueError("status() without a parameter is for the station")
        if self._address is not None:
            return STAT_GOT_IP
        if self._asked:
            return STAT_CONNECTING
        return self._reason or STAT_IDLE

    def ifconfig(self, config=None):
        if config is not None:
            self._fixed = None if config == "dhcp" else tuple(config)
            return None
        return self._address or ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def ipconfig(self, param=None, **fixed):
        if fixed:
            raise OSError("fixed addresses are not simulated")
        address = self.ifconfig()
        if param == "addr4":
            return address[:2]
        if param == "gw4":
            return address[2]
        if param == "has_dhcp4":
            return self._address is not None
        if param == "dhcp4":
            return True
        raise ValueError("unknown config param")

    def config(self, *params, **changes):
        if params and changes:
            raise TypeError("either pos or kw args are allowed")
        if changes:
            for name, value in changes.items():
                if name not in ("reconnects", "pm", "txpower", "hostname", "dhcp_hostname", "channel", "protocol"):
                    raise ValueError("unknown config param")
                self._config[name] = value
            return None
        name = params[0]
        if name == "mac":
            mac = bytearray(_board.mac())
            mac[5] = mac[5] + self._id & 0xFF
            return bytes(mac)
        if name in ("ssid", "essid"):
            return self._ssid
        if name in ("hostname", "dhcp_hostname"):
            return self._config.get("hostname", _hostname)
        if name in self._config:
            return self._config[name]
        raise ValueError("unknown config param")

    def scan(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        network = _board.welcome().get("wifi")
        return [(network.encode(), b"\x02\0\0\0\0\1", 1, -50, 3, False)] if network else []


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > 32:
        raise ValueError
    _hostname = name


def country(code=None):
    global _country
    if code is None:
        return _country
    if len(code) != 2:
        raise ValueError
    _country = code


def phy_mode(mode=None):
    return 3
