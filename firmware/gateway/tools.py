"""What the gateway's modules share, by name, so that their constructors stay short. The composition root fills it."""


class Tools:
    """Members: settings, topics, registry, scheduler, dedupe, rates, clock, clocks, records, uploads, states, outgoing,
    jobs,
    metrics, mishaps, gateway_ops, now_s, most_locks, describe(), which says what the gateway is for a diagnosis, and
    on_locks(), called when the list of locks has changed."""
