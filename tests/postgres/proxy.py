# SPDX-License-Identifier: MIT
"""A TCP proxy in front of a server that breaks connections at a chosen byte.

    with Proxy(cluster) as proxy:
        proxy.url()                                         # as cluster.url(), through the proxy
        trap = proxy.arm(Trap("reset", "plan copy", b"SET done = true", down=True, after=12))
        trap.reached.wait()

A trap waits for a text in what a client with that application_name sends. It closes `after` bytes later, in the
direction from the client (up) or to it (down), when the next byte would pass:

    reset   both ends get a RST
    finish  both ends get a FIN
    half    the client gets a RST, the server learns of it `seconds` later: its session lives on meanwhile
    lost    what the server says until it is ready again is thrown away, then both ends get a RST
    hold    nothing passes on this connection until release()
    delay   nothing passes on any connection until release(); then all of it does
    hole    all that is sent on any connection is thrown away, nobody is told, until release(); who lost something
            gets a RST then, as from a router that has forgotten the connection
    drip    some bytes at a time, for `bytes` bytes"""
import collections
import select
import socket
import struct
import threading
import time

READ, BUFFERED_MOST, TAIL = 65536, 262144, 200
READY = b"Z\x00\x00\x00\x05"  # ReadyForQuery: the server has nothing more to say
NAME = b"application_name\0"
DRIP_BYTES, DRIP_SECONDS = 7, 0.002


class Trap:
    def __init__(self, action, who, text, down=False, after=0, skip=0, seconds=1.0, bytes=4000):
        self.action, self.who, self.text, self.down, self.after = action, who.encode(), text, down, after
        self.skip, self.seconds, self.bytes = skip, seconds, bytes
        self.reached = threading.Event()

    def __str__(self):
        way = "to" if self.down else "from"
        return f"{self.action} {self.after} bytes {way} {self.who.decode()!r} behind {self.text.decode().strip(chr(0))!r}"


class Flow:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source, self.sink, self.buffer, self.ended, self.shut = source, sink, bytearray(), False, False


class Connection:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.up, self.down = Flow(client, server), Flow(server, client)
        self.name, self.tail = None, b""
        self.trap, self.left = None, 0  # the trap that closes here, in so many bytes
        self.held = self.lossy = self.draining = False
        self.swallowed = None  # of `lost`: what the server has said since
        self.drip_left, self.drip_at = 0, 0.0

    def sockets(self):
        return [one for one in (self.client, self.server) if one]


def reset(one):
    if one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()


class Proxy:
    def __init__(self, cluster):
        self.cluster = cluster
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.connections, self.traps, self.zombies = [], [], []
        self.orders = collections.deque()
        self.hole = self.delayed = False
        self.leaving, (self.ear, self.mouth) = False, socket.socketpair()
        self.error = None
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.order(lambda: setattr(self, "leaving", True))
        self.thread.join()

    def url(self):
        return self.cluster.url().replace(f":{self.cluster.port}/", f":{self.port}/")

    # ---- Orders from outside, carried out by the proxy's own thread ----

    def order(self, what):
        self.orders.append(what)
        self.mouth.send(b"x")

    def arm(self, trap):
        self.order(lambda: self.traps.append(trap))
        return trap

    def disarm(self):
        self.order(self.traps.clear)

    def release(self):
        self.order(self.let_go)

    def let_go(self):
        for one in self.connections:
            one.held = False
            if one.lossy:
                self.cut(one)
        self.hole = self.delayed = False

    # ---- The loop ----

    def work(self):
        try:
            while not self.leaving:
                self.turn()
        except Exception as error:  # the test reads it
            self.error = error
            raise
        finally:
            for one in [self.listener, *(one for each in self.connections for one in each.sockets())]:
                one.close()

    def turn(self):
        poll, known = select.poll(), {self.listener.fileno(): None, self.ear.fileno(): None}
        poll.register(self.listener, select.POLLIN)
        poll.register(self.ear, select.POLLIN)
        for connection in self.connections:
            for one, events in self.interests(connection):
                poll.register(one, events)
                known[one.fileno()] = connection
        ready = poll.poll(2 if any(one.drip_left for one in self.connections) else 50)
        for number, events in ready:
            if number == self.listener.fileno():
                self.take_in(self.listener.accept()[0])
            elif number == self.ear.fileno():
                self.ear.recv(READ)
            elif known[number] in self.connections:
                self.move(known[number], number, events)
        while self.orders:
            self.orders.popleft()()
        self.bury()

    def interests(self, connection):
        if connection.held or self.delayed:
            return
        for one in connection.sockets():
            events = 0
            for flow in (connection.up, connection.down):
                if flow.source is one and not flow.ended and len(flow.buffer) < BUFFERED_MOST:
                    events |= select.POLLIN
                if flow.sink is one and flow.buffer and time.monotonic() >= connection.drip_at:
                    events |= select.POLLOUT
            if events:
                yield one, events

    def take_in(self, client):
        try:
            server = None if self.hole else socket.create_connection((self.cluster.host, self.cluster.port), 5)
        except OSError:
            reset(client)
            return
        for one in filter(None, (client, server)):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections.append(Connection(client, server))

    def bury(self):
        """Servers' ends that outlived their client, when it is time."""
        for zombie in [one for one in self.zombies if time.monotonic() > one[0]]:
            reset(zombie[1])
            self.zombies.remove(zombie)

    def move(self, connection, number, events):
        try:
            for flow in (connection.up, connection.down):
                if flow.source and flow.source.fileno() == number and events & ~select.POLLOUT and not flow.ended:
                    self.read(connection, flow)
                if connection in self.connections and flow.buffer and not connection.held and not self.delayed:
                    self.write(connection, flow)
        except OSError:
            self.cut(connection)

    def write(self, connection, flow):
        if time.monotonic() < connection.drip_at:
            return
        most = len(flow.buffer)
        if connection.drip_left > 0:
            most = min(most, DRIP_BYTES)
            connection.drip_left -= most
            connection.drip_at = time.monotonic() + DRIP_SECONDS
        try:
            del flow.buffer[:flow.sink.send(flow.buffer[:most])]
        except BlockingIOError:
            pass
        self.end(connection)

    def read(self, connection, flow):
        try:
            data = flow.source.recv(READ)
        except BlockingIOError:
            return
        if not data:
            flow.ended = True
            return self.end(connection)
        if self.hole or connection.draining:
            connection.lossy = connection.lossy or self.hole
        elif flow is connection.up:
            self.pass_up(connection, data)
        else:
            self.pass_on(connection, flow, data)

    def end(self, connection):
        """Passes the end of a stream on, and forgets what has none left."""
        for flow in (connection.up, connection.down):
            if flow.ended and not flow.buffer and not flow.shut and flow.sink and not self.hole:
                flow.sink.shutdown(socket.SHUT_WR)
                flow.shut = True
        if connection.up.ended and (connection.down.ended or not connection.server) and not (
                connection.up.buffer or connection.down.buffer):
            self.forget(connection)
            for one in connection.sockets():
                one.close()

    def forget(self, connection):
        self.connections.remove(connection)
        if connection.trap:  # it ended before its byte: the next one of that kind will do
            connection.trap.after = 0
            self.traps.append(connection.trap)

    def cut(self, connection):
        self.forget(connection)
        for one in connection.sockets():
            reset(one)

    # ---- Traps ----

    def pass_up(self, connection, data):
        if connection.name is None:
            at = (connection.tail + data).find(NAME)
            if at >= 0:
                connection.name = (connection.tail + data)[at + len(NAME):].split(b"\0")[0]
        begin = self.match(connection, data) if not connection.trap and connection.swallowed is None else None
        connection.tail = (connection.tail + data)[-TAIL:]
        if begin is None:
            return self.pass_on(connection, connection.up, data)
        connection.up.buffer += data[:begin]
        if connection.trap.action == "lost":
            connection.swallowed = b""
        self.pass_on(connection, connection.up, data[begin:])

    def match(self, connection, data):
        """Where the text of a trap ends in the data."""
        for trap in self.traps:
            if trap.who != connection.name:
                continue
            before = len(connection.tail)
            at = (connection.tail + data).find(trap.text, max(0, before - len(trap.text) + 1))
            if at < 0:
                continue
            if trap.skip > 0:
                trap.skip -= 1
                continue
            self.traps.remove(trap)
            connection.trap, connection.left = trap, trap.after
            return at + len(trap.text) - before
        return None

    def pass_on(self, connection, flow, data):
        trap, down = connection.trap, flow is connection.down
        if connection.swallowed is not None and down:
            connection.swallowed = (connection.swallowed + data)[-TAIL:]
            if connection.swallowed[-6:-1] == READY:
                self.close_trap(connection, flow, b"")
        elif not trap or trap.action == "lost" or trap.down != down:
            flow.buffer += data
        else:
            flow.buffer += data[:connection.left]
            rest = data[connection.left:]
            connection.left -= min(len(data), connection.left)
            if rest:
                self.close_trap(connection, flow, rest)

    def close_trap(self, connection, flow, rest):
        trap, connection.trap = connection.trap, None
        if trap.action in ("reset", "finish", "half") and flow.buffer:
            try:
                flow.sink.send(flow.buffer)
            except OSError:
                pass
        if trap.action in ("reset", "lost"):
            self.cut(connection)
        elif trap.action == "half":
            self.zombies.append((time.monotonic() + trap.seconds, connection.server))
            connection.server = None
            self.cut(connection)
        elif trap.action == "finish":
            self.finish(connection)
        elif trap.action == "hole":
            self.hole = connection.lossy = True
        else:
            flow.buffer += rest
            connection.held = trap.action == "hold"
            self.delayed = self.delayed or trap.action == "delay"
            connection.drip_left = trap.bytes if trap.action == "drip" else 0
        trap.reached.set()

    def finish(self, connection):
        connection.draining = True
        for flow in (connection.up, connection.down):
            flow.buffer.clear()
            flow.shut = True
            try:
                flow.sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
