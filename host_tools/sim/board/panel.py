"""A lock's panel and surroundings as JSON: what a finger, a card, a door or an empty battery does (architecture.md,
"The simulator").

Door, tamper contact, battery, buttons, jam and turning by hand act on the mechanics; everything else goes to the lock's
firmware over its serial console, as on a real board. `state` brings the firmware's answer and the mechanics' together.
"""

import asyncio
from typing import TYPE_CHECKING

from host_tools.sim.board import mechanics
from host_tools.sim.board.interpreter import SimError

if TYPE_CHECKING:
    from host_tools.sim.board.board import Board

_BUTTONS = {"reset_button": mechanics.RESET_BUTTON, "inside_button": mechanics.BUTTON_INSIDE}


async def act(board: "Board", request: dict) -> dict:
    """Do what `request` says and return the answer; failures are answers with `ok` false and a `code`."""
    what = request.get("do")
    world = board.mechanics
    try:
        if what == "state":
            try:
                answer = await board.ask(request)
            except SimError as err:
                answer = {"ok": False, "code": "no_answer", "msg": str(err)}
            return answer | {"mechanics": world.state()}
        if what == "door":
            world.door(bool(request["open"]))
        elif what == "tamper":
            world.tamper(bool(request.get("open", True)))
        elif what == "privacy":
            world.privacy(bool(request["on"]))
        elif what == "mount":
            world.mount(bool(request.get("mirrored", True)))
        elif what == "battery":
            world.battery(float(request["pct"]))
        elif what == "jam":
            world.jam(bool(request.get("on", True)))
        elif what == "turn":
            if request["to"] not in ("locked", "unlocked"):
                return wrong("`to` is locked or unlocked")
            world.turn(request["to"])
        elif what in _BUTTONS:
            world.press(_BUTTONS[what], True)
            try:
                await asyncio.sleep(float(request.get("s", 0.2)))
            finally:
                world.press(_BUTTONS[what], False)
        elif isinstance(what, str):
            return await board.ask(request)
        else:
            return wrong("no `do` in the request")
    except (KeyError, TypeError, ValueError) as err:
        return wrong("%s: %s" % (type(err).__name__, err))
    except SimError as err:
        return {"ok": False, "code": "no_answer", "msg": str(err)}
    return {"ok": True}


def wrong(text: str) -> dict:
    """The answer to a request that makes no sense."""
    return {"ok": False, "code": "bad_request", "msg": text}
