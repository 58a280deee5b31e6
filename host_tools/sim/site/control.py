"""The site's control port as JSON: one request, one answer. What can be asked is the table of `actions`."""

from typing import TYPE_CHECKING

from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site import actions

if TYPE_CHECKING:
    from host_tools.sim.site.site import Site


async def perform(site: "Site", request: dict) -> dict:
    """Do what `request` says; failures are answers with `ok` false, a `code` and a `msg`."""
    try:
        found = await actions.perform(site, request)
    except actions.BadRequest as err:
        return {"ok": False, "code": "bad_request", "msg": str(err)}
    except SimError as err:
        return {"ok": False, "code": "refused", "msg": str(err)}
    return {"ok": True, **found}
