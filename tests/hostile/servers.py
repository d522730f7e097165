# SPDX-License-Identifier: MIT
"""Servers that do to a client what servers do when they are broken, strange or hostile.

A server is a listener with a behaviour; it keeps every byte that reached it, so that a test can say which
credentials went where."""
import gzip
import os
import socket
import ssl
import struct
import threading
import time

GO_ON = 60  # seconds after which even an endless behaviour ends, should nobody hang up
CHUNK = b"a" * 65536
JSON = b"Content-Type: application/json\r\n"


class Hung(Exception):
    """The client hung up, or the server ends."""


class Visit:
    """One connection, after TLS and the request."""

    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.until = time.monotonic() + GO_ON
        self.line = b""  # of the request

    def send(self, *parts):
        if time.monotonic() > self.until or self.server.ending.is_set():
            raise Hung
        self.connection.sendall(b"".join(parts))

    def answer(self, body, status=b"200 OK", headers=JSON):
        self.send(b"HTTP/1.1 ", status, b"\r\n", headers, b"Content-Length: ", str(len(body)).encode(), b"\r\n\r\n", body)

    def wait(self, seconds):
        if self.server.ending.wait(seconds) or time.monotonic() > self.until:
            raise Hung

    def reset(self):
        """RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    """with Server(behaviour, pair) as server: ... Without a pair of certificate and key it is plain TCP."""

    def __init__(self, behaviour, pair=None, oldest=None, early=False):
        self.behaviour, self.early = behaviour, early
        self.received = bytearray()
        self.visits = 0
        self.ending = threading.Event()
        self.context = self.tls(pair, oldest) if pair else None
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if pair else 'http'}://{'localhost' if pair else '127.0.0.1'}:{self.port}"

    @staticmethod
    def tls(pair, oldest):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        if oldest:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = oldest
        return context

    def __enter__(self):
        threading.Thread(target=self.listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.listener.close()

    def listen(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        self.visits += 1
        connection.settimeout(20)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            visit = Visit(self, connection)
            if not self.early:
                visit.line = self.read_request(connection)
            self.behaviour(visit)
        except (Hung, OSError, ValueError):
            pass
        finally:
            connection.close()

    def read_request(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.read(connection)
        head, _, body = head.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), 0)
        while len(body) < length:
            body += self.read(connection)
        return head.split(b"\r\n")[0]

    def read(self, connection):
        data = connection.recv(65536)
        if not data:
            raise Hung
        self.received += data
        return data


# ---- Behaviours ----
# Each is a function of a Visit. What a client must make of it is said in hostile.py.


def endless_body(visit):
    visit.send(b"HTTP/1.1 200 OK\r\n", JSON, b"\r\n")
    while True:
        visit.send(CHUNK)


def slow_body(visit):
    visit.send(b"HTTP/1.1 200 OK\r\n", JSON, b"Content-Length: 100000\r\n\r\n")
    while True:
        visit.send(b" ")
        visit.wait(1)


def slow_head(visit):
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100000:
        visit.send(bytes([byte]))
        visit.wait(1)


def silence(visit):
    visit.wait(GO_ON)


def large_header(visit):
    visit.answer(b"{}", headers=b"X-Large: " + b"a" * 1000000 + b"\r\n")


def many_headers(visit):
    visit.answer(b"{}", headers=b"".join(b"X-%d: %s\r\n" % (i, b"a" * 300) for i in range(1000)))


def endless_headers(visit):
    visit.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        visit.send(b"X-Again: a\r\n" * 100)


def continue_forever(visit):
    while True:
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def hints_forever(visit):
    while True:
        visit.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" * 100)


def redirect(to):
    def behaviour(visit):
        visit.answer(b"", b"302 Found", b"Location: %s/elsewhere\r\n" % to.url.encode())
    return behaviour


def redirect_to_itself(visit):
    visit.answer(b"", b"307 Temporary Redirect", b"Location: %s/again\r\n" % visit.server.url.encode())


def redirect_to_a_file(visit):
    visit.answer(b"", b"302 Found", b"Location: file:///etc/passwd\r\n")


BOMB = gzip.compress(bytes(100 << 20), 9)


def gzip_bomb(visit):
    visit.answer(BOMB, headers=JSON + b"Content-Encoding: gzip\r\n")


def chunks(data):
    def behaviour(visit):
        visit.send(b"HTTP/1.1 200 OK\r\n", JSON, b"Transfer-Encoding: chunked\r\n\r\n", data)
    return behaviour


def length_says(length, body):
    def behaviour(visit):
        visit.send(b"HTTP/1.1 200 OK\r\n", JSON, b"Content-Length: ", length, b"\r\n\r\n", body)
    return behaviour


def says(body, status=b"200 OK", headers=JSON):
    return lambda visit: visit.answer(body, status, headers)


def raw(data):
    return lambda visit: visit.send(data)


def closes(visit):
    visit.send(b"")


def resets(visit):
    visit.reset()


def repeats_the_credentials(visit):
    """In every place from which a client might quote."""
    line = next((one for one in bytes(visit.server.received).split(b"\r\n")
                 if one.lower().startswith((b"authorization:", b"x-api-key:"))), b"")
    word = line.split()[-1] if line else b""
    visit.answer(b'{"id": "%s", "message": "who is %s?", "error": "%s", "errors": [{"code": 1, "message": "%s"}]}'
                 % (word, word, word, word), b"422 Unprocessable Entity")


def pages(size):
    def behaviour(visit):
        visit.answer(b'[{"id": "%s"}]' % (os.urandom(8).hex().encode() + b"a" * size), b"206 Partial Content",
                     JSON + b"Next-Range: id ]x..; max=1\r\n")
    return behaviour


def come_back_later(visit):
    visit.answer(b'{"id": "rate_limit"}', b"429 Too Many Requests", JSON + b"Retry-After: 99999999999\r\n")


DEEP = b"[" * 100000 + b"]" * 100000
# In each megabyte hundreds of thousands of values, each of which takes a client many more bytes than it has here.
MANY_VALUES = b"[" + b"[]," * 2000000 + b"[]]"
MANY_KEYS = b"{" + b",".join(b'"%d":0' % i for i in range(500000)) + b"}"
NOT_JSON = {
    "an HTML page": b"<html><body>Bad gateway</body></html>",
    "nothing but a brace": b"{",
    "JSON and something after it": b'{"name": "it"} x',
    "deep nesting": DEEP,
    "many values": MANY_VALUES,
    "many keys": MANY_KEYS,
    "a key twice": b'{"name": "it", "name": "other"}',
    "an escaped NUL": b'{"name": "it\\u0000other"}',
    "a NUL": b'{"name": "it\0other"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "bytes that are no UTF-8": b'{"name": "\xff\xfe"}',
    "a number beyond all bounds": b'{"maintenance": 1e99999}',
    "an integer beyond all bounds": b'{"maintenance": ' + b"9" * 400 + b"}",
}
OTHER_SHAPES = {"a list": b"[]", "null": b"null", "a number": b"42", "a text": b'"it"', "an empty map": b"{}",
                "nothing": b"", "other types": b'{"id": {}, "name": [], "maintenance": "yes", "result": 5}'}
NOT_XML = {
    "JSON where XML belongs": b"{}",
    "an entity bomb": b'<!DOCTYPE a [<!ENTITY b "' + b"a" * 1000 + b'"><!ENTITY c "' + b"&b;" * 1000 + b'">]><a>&c;</a>',
    "an external entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "deep elements": b"<a>" * 100000,
    "many elements": b"<a>" + b"<b/>" * 1900000 + b"</a>",
    "half a document": b"<ListHostedZonesByNameResponse><HostedZones>",
}


def at_request(chosen, behaviour, answer):
    """Others are answered as they should be."""
    def either(visit):
        if chosen(visit.line):
            behaviour(visit)
        else:
            visit.answer(answer)
    return either


def at_writes(behaviour, answer):
    return at_request(lambda line: not line.startswith(b"GET "), behaviour, answer)


def at_path(end, behaviour, answer):
    return at_request(lambda line: line.split()[1].endswith(end), behaviour, answer)
