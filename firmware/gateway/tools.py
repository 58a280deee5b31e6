"""What the gateway's modules share, by name, so that their constructors stay short. The composition root fills it."""


class Tools:
    """Members: settings, topics, registry, scheduler, dedupe, rates, clock, clocks, records, uploads, states, outgoing,
    jobs, metrics, failures, gateway_ops, now_s, most_locks, context, which operations get, and on_locks(), called when
    the list of locks has changed."""
