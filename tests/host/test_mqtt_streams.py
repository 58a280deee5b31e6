"""Streams of packets that a broker may legally send, in any mixture and cut anywhere: none drops the link, and the
command behind them is read (decisions.md DEC-15). What is acknowledged how: test_mqtt_real_broker.py."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.lib import mqtt_packet
from tests.unit.test_mqtt_packet import legal

COMMAND = legal("gatehouse/001122334455/cmd", b'{"id":"last","op":"ping"}', 1, 65535)
MAX_TOPIC, MAX_PAYLOAD = 128, 1024

# Sizes around each limit, and far beyond
topics = st.one_of(
    st.text(min_size=1, max_size=40),
    st.integers(100, 1400).map(lambda size: "t" * size),
    st.sampled_from(("t" * 128, "t" * 129, "\u00e4" * 64, "\u00e4" * 65, "\U0001f511" * 33, "a/#/b", "t" * 65535)),
).filter(lambda topic: len(topic.encode("utf-8", "surrogatepass")) <= 65535 and topic.isprintable())
payloads = st.one_of(
    st.binary(max_size=60),
    st.integers(900, 3000).map(bytes),
    st.sampled_from((bytes(1024), bytes(1025), bytes(1156), bytes(1157), bytes(200000))),
)
publishes = st.tuples(topics, payloads, st.integers(0, 2), st.integers(1, 65535), st.booleans(), st.booleans())
others = st.one_of(
    st.just(b"\xd0\x00"),
    st.integers(1, 65535).map(lambda pid: b"\x40\x02" + pid.to_bytes(2, "big")),
    st.integers(1, 65535).map(lambda pid: b"\x62\x02" + pid.to_bytes(2, "big")),
    st.binary(min_size=1, max_size=16).map(
        lambda codes: (
            bytes((0x90, 2 + len(codes))) + b"\x00\x07" + bytes(0x80 if code & 4 else code & 3 for code in codes)
        )
    ),
)


def encoded(publish: tuple) -> bytes:
    topic, payload, qos, pid, retain, dup = publish
    raw = bytearray(legal(topic, payload, qos, pid))
    raw[0] |= (1 if retain else 0) | (8 if dup and qos else 0)
    return bytes(raw)


def expected(publish: tuple) -> tuple:
    """(topic or None, payload, qos, packet id, retain) as the parser must tell it."""
    topic, payload, qos, pid, retain, _ = publish
    is_ours = 0 < len(topic.encode()) <= MAX_TOPIC and len(payload) <= MAX_PAYLOAD
    is_ours = is_ours and not any(sign in topic for sign in "#+\0")
    return topic if is_ours else None, payload if is_ours else b"", qos, pid if qos else 0, retain


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(publishes, others), max_size=12), st.lists(st.integers(1, 5000), min_size=1, max_size=30))
@example([("t" * 65535, bytes(200000), 2, 1, True, True)], [1, 1, 1, 1])
def test_no_legal_stream_drops_the_link_or_costs_the_command_behind_it(packets: list, cuts: list[int]) -> None:
    stream = b"".join(each if isinstance(each, bytes) else encoded(each) for each in packets) + COMMAND
    parser = mqtt_packet.Parser()
    got = []
    at = turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        turn += 1
        got += parser.feed(stream[at : at + size])
        at += size
    assert len(got) == len(packets) + 1
    messages = [each for each in got if each.type == mqtt_packet.PUBLISH]
    shown = [(each.topic, bytes(each.payload), each.qos, each.pid, each.retain) for each in messages]
    assert shown[:-1] == [expected(each) for each in packets if isinstance(each, tuple)]
    assert shown[-1] == ("gatehouse/001122334455/cmd", b'{"id":"last","op":"ping"}', 1, 65535, False)
