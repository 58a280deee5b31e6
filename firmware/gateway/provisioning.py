"""The gateway's serial console: who is there, and the owner's settings. Requests and replies are JSON lines.

{"do":"hello"}                 role, id, version, why it started, whether there are settings and what is wrong with them
{"do":"settings"}              the settings; of secrets only whether there is one
{"do":"set","settings":{...}}  change some (null removes one); all or nothing; they hold from the next start
{"do":"info"}                  what the gateway publishes as `info`
{"do":"forget","mac":"..."}    serve a lock no more
{"do":"reboot"}                start anew
"""

from firmware.gateway import settings
from firmware.lib.errors import BadRequest, ConfigError
from firmware.system import config
from firmware.version import VERSION


class Provisioning:
    """`about` returns the members of `info`, or is None before there are settings; `forget(args)` likewise. `started()`
    tells why the board started."""

    def __init__(self, id, reboot, path=settings.PATH, about=None, forget=None, started=None):
        self._id = id
        self._reboot = reboot
        self._path = path
        self._about = about
        self._forget = forget
        self._started = started

    def faults(self):
        """What keeps the gateway from working, as a list of texts that name keys."""
        try:
            return settings.table().faults(config.read(self._path))
        except ConfigError as err:
            return [str(err)]

    def handle(self, request):
        """One request -> reply. Raises FirmwareError, which the console reports."""
        do = request.get("do")
        if do == "hello":
            faults = self.faults()
            reply = {"ok": True, "role": "gateway", "id": self._id, "version": VERSION}
            reply["provisioned"] = not faults
            reply["faults"] = faults
            if self._started:
                reply["restart"] = self._started()
            return reply
        if do == "settings":
            return {"ok": True, "settings": self._shown()}
        if do == "set":
            config.write(self._path, settings.table(), request.get("settings"))
            return {"ok": True}
        if do == "reboot":
            self._reboot()
            return {"ok": True}
        if do == "info" and self._about:
            return {"ok": True, "info": self._about()}
        if do == "forget" and self._forget:
            self._forget({"mac": request.get("mac")})
            return {"ok": True}
        raise BadRequest("no such request")

    def _shown(self):
        values = dict(config.read(self._path))
        for name in settings.SECRETS:
            if name in values:
                values[name] = bool(values[name])
        return values
