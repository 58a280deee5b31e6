"""What Home Assistant is told of a lock and of a gateway: discovery in device form, one row of a table per component.
Owns the payloads, which are made in pieces, as one may have 5 KB; leaves what holds for a device to its caller, and
topics to `lib/topics`.

Source: home-assistant-discovery.md 3 to 8; names of operations and of state members: docs/operations.md, mqtt.md 1.
"""

import json

from firmware.lib.compat import const, is_shown

_MAX_NAME = const(64)  # characters; a name that we keep has at most 48 bytes, what a lock calls its model may have any

# A row is `key|platform|what it needs, in words|the rest~`. A payload names a component by its key, and what is known
# to stand at the broker is kept by the row's place: new rows go to the end, and a row that is out of use stays, with a
# need that nothing meets. Signs: @ the device's topics, $ its id, # and ? lists of words, ! how the lock entity sends a
# code, ^ the beginning of a command whose id is made of the time, & a switch, * the first of the row's needs.
_COMMAND = rb'"qos":1,"cmd_t":"@/cmd","cmd_tpl":"{\"id\":\"ha-$-{{ now().timestamp() }}\",\"op\":\"'
_SWITCH = (
    rb'"ent_cat":"config","val_tpl":"{{ value_json.settings.*|default(none) }}","stat_on":"True","stat_off":"False",'
    rb'"pl_on":"true","pl_off":"false",^setting_set\",\"args\":{\"name\":\"*\",\"value\":{{ value }}}}"'
)
_WITH_PIN = rb'"cod_form":"^\\d{4,8}$","cmd_tpl":"{\"do\":\"{{ value }}\",\"code\":\"{{ code }}\"}"'
_WITHOUT_PIN = rb'"cmd_tpl":"{\"do\":\"{{ value }}\"}"'

LOCK = (
    rb'lock|lock||"name":null,"qos":1,"opt":false,"val_tpl":"{{ value_json.lock }}","cmd_t":"@/set",!,'
    rb'"json_attr_t":"@/state","json_attr_tpl":"{{ dict(source=value_json.src,assumed=value_json.assumed,'
    rb'told=value_json.ts)|tojson }}"~'
    rb'battery|sensor||"dev_cla":"battery","unit_of_meas":"%","stat_cla":"measurement","ent_cat":"diagnostic",'
    rb'"val_tpl":"{{ value_json.battery }}"~'
    rb'rssi|sensor||"dev_cla":"signal_strength","unit_of_meas":"dBm","stat_cla":"measurement","ent_cat":"diagnostic",'
    rb'"en":false,"val_tpl":"{{ value_json.rssi }}"~'
    rb'last_who|sensor||"name":"Last user or credential","ic":"mdi:account-key",'
    rb'"val_tpl":"{{ (value_json.last or {}).who|default(none) }}"~'
    rb'last_method|sensor||"name":"Last method","dev_cla":"enum","ops":[#],'
    rb'"val_tpl":"{{ (value_json.last or {}).method|default(none) }}"~'
    rb'door|binary_sensor|door|"dev_cla":"door","pl_on":"open","pl_off":"closed","val_tpl":"{{ value_json.door }}"~'
    rb'tamper|binary_sensor|tamper|"dev_cla":"tamper","ent_cat":"diagnostic","pl_on":"on","pl_off":"off",'
    rb'"val_tpl":"{{ value_json.tamper }}"~'
    rb'jam|binary_sensor|own|"name":"Jam","dev_cla":"problem","ent_cat":"diagnostic",'
    rb'"val_tpl":"{{ none if value_json.lock is none else \"ON\" if value_json.lock == \"JAMMED\" else \"OFF\" }}"~'
    rb'log|event||"name":"Log","ic":"mdi:clipboard-text-clock","qos":1,"stat_t":"@/event","evt_typ":[?]~'
    rb'remote_unlock|binary_sensor|remote_unlock|"name":"Remote unlock allowed","ic":"mdi:cellphone-key",'
    rb'"ent_cat":"diagnostic","pl_on":"True","pl_off":"False",'
    rb'"val_tpl":"{{ value_json.settings.remote_unlock|default(none) }}"~'
    rb'autolock|number|autolock admin unsigned|"name":"Auto-lock delay","ent_cat":"config","min":0,"max":65535,'
    rb'"mode":"box","unit_of_meas":"s","dev_cla":"duration","val_tpl":"{{ value_json.auto_lock_s }}",'
    rb'^autolock_set\",\"args\":{\"seconds\":{{ value|int }}}}"~'
    rb'volume|number|volume admin unsigned|"name":"Volume","ic":"mdi:volume-high","ent_cat":"config","min":1,"max":5,'
    rb'"val_tpl":"{{ value_json.settings.volume|default(none) }}",'
    rb'^setting_set\",\"args\":{\"name\":\"volume\",\"value\":{{ value|int }}}}"~'
    rb'lamp|number|lamp_s admin unsigned|"name":"Lamp time","ic":"mdi:lightbulb","ent_cat":"config","min":0,"max":255,'
    rb'"mode":"box","unit_of_meas":"s","dev_cla":"duration",'
    rb'"val_tpl":"{{ value_json.settings.lamp_s|default(none) }}",'
    rb'^setting_set\",\"args\":{\"name\":\"lamp_s\",\"value\":{{ value|int }}}}"~'
    rb'sound|switch|sound admin unsigned|"name":"Lock sound","ic":"mdi:volume-high","ent_cat":"config",'
    rb'"val_tpl":"{{ value_json.sound }}","stat_on":"on","stat_off":"off","pl_on":"true","pl_off":"false",'
    rb'^setting_set\",\"args\":{\"name\":\"sound\",\"value\":{{ value }}}}"~'
    rb'tamper_alert|switch|tamper admin unsigned|"name":"Tamper alert",&~'
    rb'privacy|switch|privacy admin unsigned|"name":"Privacy lock",&~'
    rb'reset_button|switch|reset_button admin unsigned|"name":"Reset button","en":false,&~'
    rb'passage_unlock|switch|passage_auto_unlock admin unsigned|"name":"Unlock by itself in passage mode","en":false,&~'
    rb'display|switch|passcode_display admin unsigned|"name":"Show typed passcode",&~'
    rb'sync|button|unsigned|"name":"Set the clock","ic":"mdi:clock-check","ent_cat":"config",^time_sync\"}"~'
    rb'read_log|button||"name":"Read the log","ic":"mdi:clipboard-arrow-down","ent_cat":"diagnostic","en":false,'
    rb'^records_read\"}"~'
    rb'ask|button||"name":"Ask the lock","ic":"mdi:refresh","ent_cat":"diagnostic","en":false,^state\"}"~'
    rb'by_app|device_automation||"type":"unlocked","stype":"app","pl":"unlock/app"~'
    rb'by_gateway|device_automation||"type":"unlocked","stype":"gateway","pl":"unlock/gateway"~'
    rb'by_key|device_automation||"type":"unlocked","stype":"key","pl":"unlock/key"~'
    rb'by_passcode|device_automation|passcode|"type":"unlocked","stype":"passcode","pl":"unlock/passcode"~'
    rb'by_card|device_automation|card|"type":"unlocked","stype":"card","pl":"unlock/card"~'
    rb'by_finger|device_automation|fingerprint|"type":"unlocked","stype":"fingerprint","pl":"unlock/fingerprint"~'
    rb'wrong_code|device_automation|passcode|"type":"unlock_failed","stype":"passcode","pl":"unlock_failed/passcode"~'
    rb'by_itself|device_automation||"type":"locked","stype":"auto_lock","pl":"lock/auto_lock"~'
)
_TRIGGER = b'"atype":"trigger","t":"@/trigger","qos":1'

GATEWAY = (
    rb'link|binary_sensor||"name":"Broker link","dev_cla":"connectivity","ent_cat":"diagnostic","avty":[],'
    rb'"stat_t":"@/status","pl_on":"online","pl_off":"offline"~'
    rb'uptime|sensor||"name":"Uptime","dev_cla":"duration","unit_of_meas":"s","stat_cla":"total_increasing",'
    rb'"ent_cat":"diagnostic","val_tpl":"{{ value_json.uptime_s }}"~'
    rb'reason|sensor||"name":"Restart reason","dev_cla":"enum","ops":[#],"ent_cat":"diagnostic","stat_t":"@/info",'
    rb'"val_tpl":"{{ value_json.restart.why }}"~'
    rb'rssi|sensor||"dev_cla":"signal_strength","unit_of_meas":"dBm","stat_cla":"measurement","ent_cat":"diagnostic",'
    rb'"en":false,"val_tpl":"{{ value_json.rssi }}"~'
    rb'heap|sensor||"name":"Free heap","dev_cla":"data_size","unit_of_meas":"B","stat_cla":"measurement",'
    rb'"ent_cat":"diagnostic","en":false,"val_tpl":"{{ value_json.heap }}"~'
    rb'heap_low|sensor||"name":"Smallest heap","dev_cla":"data_size","unit_of_meas":"B","stat_cla":"measurement",'
    rb'"ent_cat":"diagnostic","en":false,"val_tpl":"{{ value_json.heap_low }}"~'
    rb'success|sensor||"name":"Commands that succeeded","ic":"mdi:percent","unit_of_meas":"%","stat_cla":"measurement",'
    rb'"ent_cat":"diagnostic","val_tpl":"{{ value_json.success_pct }}"~'
    rb'p50|sensor||"name":"Unlock time p50","dev_cla":"duration","unit_of_meas":"ms","stat_cla":"measurement",'
    rb'"ent_cat":"diagnostic","en":false,"val_tpl":"{{ value_json.unlock_p50_ms }}"~'
    rb'p95|sensor||"name":"Unlock time p95","dev_cla":"duration","unit_of_meas":"ms","stat_cla":"measurement",'
    rb'"ent_cat":"diagnostic","val_tpl":"{{ value_json.unlock_p95_ms }}"~'
    rb'queue|sensor||"name":"Queue","ic":"mdi:tray-full","stat_cla":"measurement","ent_cat":"diagnostic",'
    rb'"val_tpl":"{{ value_json.queue }}"~'
    rb'update|update||"name":"Firmware","dev_cla":"firmware","ent_cat":"diagnostic","stat_t":"@/info",'
    rb'"val_tpl":"{{ dict(installed_version=value_json.version)|tojson }}"~'
)


def text(value, other=""):
    """A name from outside as JSON text (bytes): what does not show itself is left out, and so is what goes on for too
    long; `other` where nothing remains."""
    shown = "".join([sign for sign in value[: 2 * _MAX_NAME] if is_shown(sign)]).strip()
    return json.dumps(shown[:_MAX_NAME] or other).encode()


def topic_text(topic):
    """A topic as it stands inside a JSON text."""
    return json.dumps(topic).encode()[1:-1]


def words(them):
    """A list of words as the inside of a JSON list."""
    return ('"%s"' % '","'.join(them)).encode()


def _rows(table):
    """(place, [key, platform, needs, rest]) of each row, one at a time."""
    at = place = 0
    while at < len(table):
        end = table.find(b"~", at)
        yield place, table[at:end].split(b"|", 3)
        at = end + 1
        place += 1


def mask_of(table, has):
    """The rows that a device has, bit n for row n: those whose needs `has(word)` meets."""
    mask = 0
    for place, row in _rows(table):
        if all(has(word) for word in row[2].decode().split()):
            mask |= 1 << place
    return mask


def head(ids, link, names, software, via, topics, state):
    """The beginning of a payload. `ids`: the device's id; `link`: ("bluetooth" or "mac", address as text); `names`:
    pairs of a key of the device and its value, what is empty left out, but for `name`; `software`: of the gateway;
    `via`: the id of the gateway or ""; `topics`: what must say `online` for it to be available; `state`: its state's
    topic."""
    parts = [b'{"dev":{"ids":["gatehouse_%s"],"cns":[["%s","%s"]]' % (ids.encode(), link[0].encode(), link[1].encode())]
    for key, value in names:
        said = text(value, ids if key == "name" else "")
        if len(said) > 2:
            parts.append(b',"%s":%s' % (key.encode(), said))
    if via:
        parts.append(b',"via_device":"gatehouse_%s"' % via.encode())
    parts.append(b'},"o":{"name":"gatehouse","sw":%s},"avty":[' % text(software))
    parts.append(b",".join([b'{"t":"%s"}' % topic_text(topic) for topic in topics]))
    parts.append(b'],"avty_mode":"all","stat_t":"%s","cmps":{' % topic_text(state))
    return b"".join(parts)


def pieces(table, start, mask, gone, id, topic, lists, has_pin=False):
    """A payload from its first to its last byte, in pieces of a few hundred: `start` of `head`, the rows of `mask`, and
    those of `gone` as what is to be removed. `topic`: the device's topics without their last level, of `topic_text`;
    `lists`: what # and ? stand for, of `words`. The same arguments give the same bytes."""
    yield start
    comma = b""
    for place, (key, platform, needs, rest) in _rows(table):
        if not (mask | gone) >> place & 1:
            continue
        piece = comma + b'"' + key + b'":{"p":"' + platform + b'"'
        comma = b","
        if mask >> place & 1:
            rest = rest.replace(b"&", _SWITCH).replace(b"*", needs.split(b" ")[0]).replace(b"^", _COMMAND)
            own = _TRIGGER if platform == b"device_automation" else b'"uniq_id":"gatehouse_$_' + key + b'"'
            piece = (piece + b"," + own + b"," + rest).replace(b"$", id.encode())
            piece = piece.replace(b"#", lists[0]).replace(b"?", lists[1])
            piece = piece.replace(b"!", _WITH_PIN if has_pin else _WITHOUT_PIN).replace(b"@", topic)  # a topic is last
        yield piece + b"}"
    yield b"}}"
