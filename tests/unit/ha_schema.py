"""What Home Assistant takes of a discovery payload in device form, by platform: a checker made of the tables of
home-assistant-discovery.md 3 to 6, so that a key with a typo, which Home Assistant drops without a word, is an error.

Runs on MicroPython, too. Short names of keys only, as our payloads have them.
"""

ROOT = "dev o cmps avty avty_mode stat_t".split()
DEVICE = "ids cns name mf mdl hw sw via_device".split()
COMMON = "p uniq_id name ic en ent_cat qos avty json_attr_t json_attr_tpl".split()
PLATFORMS = {
    "lock": "cmd_t cmd_tpl cod_form stat_t val_tpl opt",
    "sensor": "stat_t dev_cla unit_of_meas stat_cla val_tpl ops",
    "binary_sensor": "stat_t dev_cla pl_on pl_off val_tpl",
    "event": "stat_t evt_typ",
    "number": "cmd_t cmd_tpl val_tpl min max mode unit_of_meas dev_cla",
    "switch": "cmd_t cmd_tpl pl_on pl_off stat_on stat_off val_tpl",
    "button": "cmd_t cmd_tpl",
    "update": "stat_t val_tpl dev_cla",
    "device_automation": "p atype t type stype pl qos",
}
NEEDED = {
    "lock": "cmd_t val_tpl opt",
    "event": "stat_t evt_typ",
    "number": "cmd_t cmd_tpl min max",
    "switch": "cmd_t cmd_tpl stat_on stat_off",
    "button": "cmd_t cmd_tpl",
    "device_automation": "atype t type stype pl",
}
CLASSES = {
    "sensor": {
        "battery": ("%",),
        "signal_strength": ("dBm",),
        "duration": ("s", "ms"),
        "data_size": ("B",),
        "enum": (None,),
        None: (None, "%"),
    },
    "binary_sensor": ("door", "tamper", "problem", "connectivity", None),
    "number": ("duration", None),
    "update": ("firmware",),
}
CHANGING = ("number", "switch")


def faults(payload, topic):
    """Everything that Home Assistant would refuse or drop of `payload`, a dict, published on `topic`."""
    found = []
    level = topic.split("/")
    if len(level) < 5 or level[-4] != "device" or level[-1] != "config":
        found.append("topic")
    for part in level[-3:-1]:
        if not part or part.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"):
            found.append("topic part " + part)
    found += ["root " + key for key in payload if key not in ROOT]
    found += ["root lacks " + key for key in ("dev", "o", "cmps") if key not in payload]
    device = payload["dev"]
    found += ["device " + key for key in device if key not in DEVICE]
    found += ["device %s empty" % key for key in device if not device[key]]
    if not device.get("ids") or not payload["o"].get("name") or any(key not in ("name", "sw") for key in payload["o"]):
        found.append("ids, or origin")
    ids = []
    triggers = []
    for key, component in payload["cmps"].items():
        fault = _fault(component)
        if fault:
            found.append("%s: %s" % (key, fault))
        if len(component) > 1:
            ids.append(component.get("uniq_id", key))
        if component["p"] == "device_automation":
            triggers.append((component.get("type"), component.get("stype")))
    if len(set(ids)) != len(ids) or len(set(triggers)) != len(triggers):
        found.append("not unique")
    return found


def _fault(component):
    kind = component.get("p")
    if kind not in PLATFORMS:
        return "platform"
    if len(component) == 1:  # to be removed
        return None
    allowed = PLATFORMS[kind].split()
    if kind != "device_automation":
        allowed = allowed + COMMON
        if not component.get("uniq_id"):
            return "no uniq_id"
        if "dev_cla" not in component and "name" not in component:
            return "no name"
    for key in component:
        if key not in allowed:
            return "unknown key " + key
    for key in NEEDED.get(kind, "").split():
        if key not in component:
            return "lacks " + key
    if "stat_t" not in component and kind in ("event",):
        return "no topic"
    if "ic" in component and not component["ic"].startswith("mdi:"):
        return "icon"
    if component.get("ent_cat") not in ((None, "diagnostic") if "sensor" in kind else (None, "diagnostic", "config")):
        return "entity category"
    if component.get("qos", 1) != 1 or component.get("opt", False) is not False:
        return "qos or optimistic"
    if kind in CLASSES and component.get("dev_cla") not in CLASSES[kind]:
        return "device class"
    if kind == "sensor":
        if component.get("unit_of_meas") not in CLASSES[kind][component.get("dev_cla")]:
            return "unit"
        if component.get("dev_cla") == "enum" and ("stat_cla" in component or not component.get("ops")):
            return "enum"
    for key in component:
        if key[-2:] == "_t" or key == "t":
            if not component[key] or "+" in component[key] or "#" in component[key]:
                return "topic " + key
    return None
