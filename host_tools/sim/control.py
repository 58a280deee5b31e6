"""The site's control port as JSON: leaps, Wi-Fi, time server, broker, power. See `perform` for the requests."""

from typing import TYPE_CHECKING

from host_tools.sim.interpreter import SimError

if TYPE_CHECKING:
    from host_tools.sim.site import Site


async def perform(site: "Site", request: dict) -> dict:
    """Do what `request` says; failures are answers with `ok` false, a `code` and a `msg`.

    leap s; wifi up; ntp silent, lie_s; broker up; kill, start, restart with board (its name, MAC or id); cut
    board after (so many changes of its flash from now), tear (prefix, bits, noise: the last in part); place board, x, y
    (metres); state.
    """
    what = request.get("do")
    try:
        if what == "leap":
            await site.leap(float(request["s"]))
        elif what == "cut":
            site.board(str(request["board"])).cut_power_after(int(request["after"]), str(request.get("tear", "")))
        elif what == "wifi":
            site.switch_wifi(bool(request["up"]))
        elif what == "ntp":
            site.ntp.is_silent = bool(request.get("silent", site.ntp.is_silent))
            site.ntp.lie_s = float(request.get("lie_s", site.ntp.lie_s))
        elif what == "broker":
            await (site.broker.start() if request["up"] else site.broker.stop())
        elif what in ("kill", "start", "restart"):
            board = site.board(str(request["board"]))
            await {"kill": board.kill, "start": board.start, "restart": board.restart}[what]()
        elif what == "place":
            site.radio.place(site.board(str(request["board"])).mac, float(request["x"]), float(request["y"]))
        elif what == "state":
            return {"ok": True, **site.state()}
        else:
            return {"ok": False, "code": "bad_request", "msg": "nothing called %r" % (what,)}
    except (KeyError, TypeError, ValueError) as err:
        return {"ok": False, "code": "bad_request", "msg": "%s: %s" % (type(err).__name__, err)}
    except SimError as err:
        return {"ok": False, "code": "refused", "msg": str(err)}
    return {"ok": True}
