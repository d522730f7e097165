# SPDX-License-Identifier: MIT
"""Certificates for servers on loopback, made by openssl: a good one, and each way to be a bad one."""
import os
import subprocess


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class Authority:
    """ca_file is trusted by the plan; pair(name) gives (certificate, key)."""

    def __init__(self, directory):
        self.directory = directory
        self.ca_file = self.path("ca.crt")
        self.self_signed("ca", "CN=plan tests")
        self.signed("good", "DNS:localhost,IP:127.0.0.1", days=2)
        self.signed("expired", "DNS:localhost,IP:127.0.0.1", days=-1)
        self.signed("other-name", "DNS:other.example.com", days=2)
        self.self_signed("self-signed", "CN=localhost", "-addext", "subjectAltName=DNS:localhost")

    def path(self, name):
        return os.path.join(self.directory, name)

    def pair(self, name):
        return self.path(f"{name}.crt"), self.path(f"{name}.key")

    def self_signed(self, name, subject, *more):
        certificate, key = self.pair(name)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/{subject}", "-keyout", key, "-out", certificate, *more)

    def signed(self, name, names, days):
        certificate, key = self.pair(name)
        request, extensions = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        with open(extensions, "w") as out:
            out.write(f"subjectAltName={names}\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server",
            "-keyout", key, "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", self.path("ca.key"),
            "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", certificate)
