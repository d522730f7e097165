# SPDX-License-Identifier: MIT
"""An HTTP proxy that keeps what went through it: every request and its answer, in memory."""
import http.client
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Exchange:
    """One request and its answer; status is None when the connection just ended."""

    def __init__(self, door, method, target, headers, body):
        split = urllib.parse.urlsplit(target)
        self.door = door
        self.method = method
        self.path = split.path
        self.query = split.query
        self.headers = headers
        self.body = body
        self.status = None
        self.answer_headers = {}
        self.answer_body = b""

    def json_of(self, text):
        return json.loads(text) if text else None

    @property
    def request_json(self):
        return self.json_of(self.body)

    @property
    def answer_json(self):
        return self.json_of(self.answer_body)

    def __str__(self):
        query = "?" + self.query if self.query else ""
        return f"{self.method} {self.path}{query} -> {self.status}"


class Recorder:
    """Doors to one upstream server. Each has a port of its own, so that what knocked is known."""

    def __init__(self, upstream, doors):
        self.upstream = urllib.parse.urlsplit(upstream)
        self.exchanges = []
        self.lock = threading.Lock()
        self.servers = {door: ThreadingHTTPServer(("127.0.0.1", 0), self.handler_of(door)) for door in doors}
        for server in self.servers.values():
            server.daemon_threads = True

    def __enter__(self):
        for server in self.servers.values():
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def url(self, door):
        return f"http://127.0.0.1:{self.servers[door].server_port}"

    def forward(self, exchange, target):
        """False when there is no whole answer."""
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=120)
        headers = {name: value for name, value in exchange.headers.items() if name not in HOP_BY_HOP}
        try:
            connection.request(exchange.method, target, body=exchange.body, headers=headers)
            answer = connection.getresponse()
            exchange.answer_headers = {name.lower(): value for name, value in answer.getheaders()}
            exchange.answer_body = answer.read()
            exchange.status = answer.status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
            with self.lock:
                self.exchanges.append(exchange)
        return True

    def handler_of(recorder, door):  # pylint: disable=no-self-argument
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                exchange = Exchange(door, self.command, self.path, headers, body)
                if not recorder.forward(exchange, self.path):
                    self.close_connection = True
                    return
                self.send_response_only(exchange.status)
                for name, value in exchange.answer_headers.items():
                    if name not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(exchange.answer_body)))
                self.end_headers()
                self.wfile.write(exchange.answer_body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        return Handler
