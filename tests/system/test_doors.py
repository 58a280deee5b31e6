"""Around the bolt: door contact, case contact and privacy knob, to the bolt and to MQTT."""

CODE = "864209"


async def _set(bench, name, value):
    assert (await bench.ask("setting_set", {"name": name, "value": value}))["ok"]


async def _recorded(bench, kind, seen):
    await bench.until(lambda: kind in [item["type"] for item in bench.records()[seen:]], "record %d on MQTT" % kind)


async def _shown(bench, key, value, seen):
    return await bench.mqtt.wait(lambda m: m.topic == bench.topic("state") and m.value[key] == value, after=seen)


def test_f111_the_door_is_told_recorded_and_reaches_mqtt_without_being_asked(shared):
    async def story(bench):
        assert (await bench.ask("state"))["data"]["door"] == "closed"
        await bench.until_linkless()
        for is_open, word, kind in ((True, "open", 31), (False, "closed", 30)):
            seen, records = len(bench.mqtt.messages), len(bench.records())
            with bench.soon(10):
                await bench.lock.panel({"do": "door", "open": is_open})
                await _shown(bench, "door", word, seen)
                await _recorded(bench, kind, records)
            item = [item for item in bench.records()[records:] if item["type"] == kind][0]
            assert item["accessory_battery"] == 100
            assert (await bench.ask("state"))["data"]["door"] == word
            await bench.until_linkless()

    shared.run(story)


def test_f112_a_door_left_open_is_told_after_the_set_seconds_and_never_with_0(shared):
    async def story(bench):
        await _set(bench, "door_alarm_s", 1)
        records = len(bench.records())
        await bench.lock.panel({"do": "door", "open": True})
        await _recorded(bench, 64, records)
        await bench.lock.panel({"do": "door", "open": False})
        await _set(bench, "door_alarm_s", 0)
        assert (await bench.ask("records_read"))["ok"]
        seen, records = len(bench.mqtt.messages), len(bench.records())
        await bench.lock.panel({"do": "door", "open": True})
        await _shown(bench, "door", "open", seen)
        await bench.leap(3600)
        await bench.lock.panel({"do": "door", "open": False})
        await _recorded(bench, 30, records)
        assert 64 not in [item["type"] for item in bench.records()[records:]]

    shared.run(story)


def test_f119_tampering_reaches_mqtt_in_ten_seconds_when_on_and_does_nothing_when_off(shared):
    async def story(bench):
        await _set(bench, "tamper", False)
        await bench.until_linkless()
        await bench.lock.panel({"do": "tamper", "open": True})
        await bench.leap(10)
        assert not (await bench.lock.panel({"do": "state"}))["siren"]
        await bench.lock.panel({"do": "tamper", "open": False})
        await _set(bench, "tamper", True)
        await bench.until_linkless()
        seen, records = len(bench.mqtt.messages), len(bench.records())
        assert 44 not in [item["type"] for item in bench.records()]
        with bench.soon(10):
            await bench.lock.panel({"do": "tamper", "open": True})
            await _recorded(bench, 44, records)
            await _shown(bench, "tamper", "on", seen)
        assert (await bench.lock.panel({"do": "state"}))["siren"]
        seen = len(bench.mqtt.messages)
        assert (await bench.ask("unlock"))["ok"]
        await _shown(bench, "tamper", "off", seen)
        assert not (await bench.lock.panel({"do": "state"}))["siren"]
        await bench.lock.panel({"do": "tamper", "open": False})
        await _set(bench, "tamper", False)

    shared.run(story)


def test_f120_f083_a_double_locked_door_opens_for_the_administrator_only(shared):
    async def story(bench):
        assert (await bench.ask("passcode_add", {"code": CODE, "type": "permanent"}))["ok"]
        await bench.until(lambda: bench.lock.bolt == "locked", "locked")
        await _set(bench, "privacy", True)
        records = len(bench.records())
        await bench.lock.panel({"do": "privacy", "on": True})
        await _recorded(bench, 59, records)
        moved = len(bench.lock.movements)
        await bench.lock.panel({"do": "keys", "digits": CODE + "#"})
        result = await bench.ask("unlock")
        assert (result["code"], result["data"]["reason"]) == ("refused", "double_locked")
        await _recorded(bench, 38, records)
        await _recorded(bench, 41, records)
        assert len(bench.lock.movements) == moved
        await bench.lock.panel({"do": "keys", "digits": shared.entry.admin_passcode + "#"})
        await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by the admin passcode")
        await _recorded(bench, 60, records)
        await bench.lock.panel({"do": "privacy", "on": False})
        await _set(bench, "privacy", False)
        assert (await bench.ask("passcode_delete", {"code": CODE}))["ok"]

    shared.run(story)
