# SPDX-License-Identifier: MIT
"""The official Heroku CLI, pointed at a simulated Heroku."""
import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

SKIP = 77
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(SKIP)


def require(place):
    """The program in the directory into which ./install puts it, or the end of the test with the reason."""
    if os.environ.get("PLAN_HEROKU_CLI") != "1":
        skip("the official Heroku CLI is tried only when asked for: PLAN_HEROKU_CLI=1 sh tests/run")
    node = shutil.which("node")
    if not node:
        skip("there is no Node; the Heroku CLI needs version 20 or later")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        skip(f"Node is {version}; the Heroku CLI needs version 20 or later")
    program = os.path.join(place, "node_modules", ".bin", "heroku")
    if not os.path.exists(program):
        sys.exit(f"there is no Heroku CLI in {place}: sh tests/heroku_cli/install {place}")
    with open(os.path.join(place, "node_modules", "heroku", "package.json"), encoding="utf-8") as package:
        print(f"heroku {json.load(package)['version']}, node {version}")
    return program


def cut_off():
    """Leaves this process, and all that it starts, with a network that has nothing but loopback: a host name that
    the CLI does not accept would lead it to the real service."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if user == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            print("this machine gives no network of its own: the CLI is kept from the outside by its settings only")
            return
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


class Cli:
    """with Cli(program, world, url) as heroku: heroku("apps:info", "-a", "sourceapp"); url: in front of the world's."""

    def __init__(self, program, world, url):
        self.program, self.directory = program, world.directory
        self.exports = {name: value.replace(world.url, url) for name, value in world.exports.items()}
        self.commands = []

    def __enter__(self):
        self.home = tempfile.mkdtemp(prefix="plan-heroku-cli-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home, ignore_errors=True)

    def environment(self):
        """What the sandbox says that the CLI needs, and nothing of the user's."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, **self.exports, "HOME": self.home, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}

    def __call__(self, *arguments, wanted=0):
        """What it prints, on either stream."""
        self.commands.append(arguments[0])
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False, timeout=120,
                              stdin=subprocess.DEVNULL, env=self.environment(), cwd=self.directory)
        output = done.stdout + done.stderr
        if done.returncode != wanted:
            raise AssertionError(f"heroku {' '.join(arguments)}: exit {done.returncode}, not {wanted}\n{output}")
        self.said = done.stdout
        return output

    def json(self, *arguments):
        self(*arguments, "--json")
        return json.loads(self.said)
