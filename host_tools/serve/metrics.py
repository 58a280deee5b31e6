"""What the service tells of itself: Prometheus metrics at /metrics, health at /healthz, on 127.0.0.1 unless told.

Owns the counters and the small HTTP server. /healthz answers 200 while broker and database can be used, or have been
away for less than the grace; else 503, with the reason, so that whoever watches knows and need not restart anything:
the service comes back by itself. /livez answers 200 as long as the process works at all.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from host_tools.errors import HostError

_GRACE_S = 60.0
_PATIENCE_S = 10.0  # for a client that asks slowly
_MAX_CLIENTS = 16
PARTS = ("broker", "watch", "database")


class Metrics:
    """Counters, and what is away since when."""

    def __init__(self) -> None:
        self.registry = made = CollectorRegistry()
        self.records = Counter("gatehouse_records", "Records in committed batches", ["result"], registry=made)
        self.batches = Counter("gatehouse_batches", "Batches that arrived", ["result"], registry=made)
        self.acks = Counter("gatehouse_acknowledgements", "Batches acknowledged to gateways", registry=made)
        self.commits = Histogram("gatehouse_commit_seconds", "Transactions of records", registry=made)
        self.began = Counter("gatehouse_alerts_began", "Alerts that began here", registry=made)
        self.active = Gauge("gatehouse_alerts_active", "Alerts that last, of all instances", ["kind"], registry=made)
        self.notices = Gauge("gatehouse_notices", "Messages, of all instances", ["state"], registry=made)
        self._up = Gauge("gatehouse_up", "1 while this part can be used", ["part"], registry=made)
        self._failures = Counter("gatehouse_failures", "Failures", ["part"], registry=made)
        self._away: dict[str, tuple[float, str]] = {part: (time.monotonic(), "not yet") for part in PARTS}
        for result in ("kept", "forged", "stranger", "unread", "refused"):
            self.batches.labels(result)
        for result in ("new", "known"):
            self.records.labels(result)
        for part in PARTS:
            self._up.labels(part).set(0)

    def tell(self, part: str, failure: str) -> bool:
        """A part works ("") or does not -> whether that is news."""
        self._up.labels(part).set(not failure)
        if not failure:
            return self._away.pop(part, None) is not None
        self._failures.labels(part).inc()
        is_news = part not in self._away
        self._away.setdefault(part, (time.monotonic(), failure))
        return is_news

    def database(self, failure: str) -> bool:
        """The same of the database."""
        return self.tell("database", failure)

    def health(self) -> tuple[bool, dict[str, dict]]:
        """Whether all is well, and what is not, with the seconds since when."""
        now = time.monotonic()
        away: dict[str, dict] = {
            part: {"for_s": round(now - since, 1), "why": why} for part, (since, why) in self._away.items()
        }
        return all(each["for_s"] < _GRACE_S for each in away.values()), away


class Endpoint:
    """The HTTP server, in threads of its own. HostError where the port is taken."""

    def __init__(self, metrics: Metrics, at: tuple[str, int]) -> None:
        room = threading.BoundedSemaphore(_MAX_CLIENTS)

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE_S
            server_version = "gatehouse"
            sys_version = ""

            def do_GET(self) -> None:
                path = self.path.split("?")[0]
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
                elif path in ("/healthz", "/livez"):
                    is_well, away = metrics.health()
                    is_well = is_well or path == "/livez"
                    text = json.dumps({"ok": is_well, "away": away}).encode()
                    self._answer(200 if is_well else 503, "application/json", text)
                else:
                    self._answer(404, "text/plain", b"/metrics /healthz /livez\n")

            def _answer(self, code: int, kind: str, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
                if room.acquire(blocking=False):
                    super().process_request(request, client_address)
                else:
                    self.shutdown_request(request)

            def process_request_thread(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
                try:
                    super().process_request_thread(request, client_address)
                finally:
                    room.release()

            def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
                pass  # a client that went away

        try:
            self._server = Server(at, Handler)
        except OSError as error:
            text = "cannot listen at %s:%d: %s" % (*at, error.strerror)
            raise HostError("config", text, "is another instance there? set service.listen")
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
