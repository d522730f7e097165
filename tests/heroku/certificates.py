# SPDX-License-Identifier: MIT
"""Keys and certificates for what the simulator is asked."""
import os
import subprocess


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def read(directory, *names):
    text = ""
    for name in names:
        with open(os.path.join(directory, name), encoding="ascii") as file:
            text += file.read()
    return text


def make_certificates(directory):
    """ca.crt; site.crt and site.key that it issued; own.crt and own.key, signed by itself."""
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(directory, "req", "-x509", *new_key, "-days", "30", "-subj", "/CN=Test CA", "-keyout", "ca.key",
            "-out", "ca.crt")
    openssl(directory, "req", "-x509", *new_key, "-days", "30", "-subj", "/CN=own.example.com", "-keyout", "own.key",
            "-out", "own.crt")
    openssl(directory, "req", *new_key, "-subj", "/CN=one.example.com", "-keyout", "site.key", "-out", "site.csr")
    with open(os.path.join(directory, "names"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:one.example.com,DNS:*.two.example.com\n")
    openssl(directory, "x509", "-req", "-in", "site.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "20", "-extfile", "names", "-out", "site.crt")
