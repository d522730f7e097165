# SPDX-License-Identifier: MIT
"""relay.py PORT FILE BYTES: passes connections on to 127.0.0.1:PORT from a port of its own, which it writes to FILE. At
SIGTERM it writes how many bytes went there to BYTES."""
import os
import signal
import socket
import sys
import threading

counted, lock = [0], threading.Lock()


def pass_on(here, there, counts):
    try:
        while data := here.recv(262144):
            there.sendall(data)
            if counts:
                with lock:
                    counted[0] += len(data)
    except OSError:
        pass
    for one in (here, there):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    port, file, result = sys.argv[1:]

    def end(*_):
        with open(result, "w", encoding="utf-8") as out:
            out.write(f"{counted[0]}\n")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    with open(file + ".new", "w", encoding="utf-8") as out:
        out.write(f"{server.getsockname()[1]}\n")
    os.rename(file + ".new", file)
    while True:
        here = server.accept()[0]
        there = socket.create_connection(("127.0.0.1", int(port)))
        threading.Thread(target=pass_on, args=(here, there, True), daemon=True).start()
        threading.Thread(target=pass_on, args=(there, here, False), daemon=True).start()


main()
