# SPDX-License-Identifier: MIT
"""libpq through ctypes, as little of it as the benchmark needs: a statement takes no longer than its round trip."""
import ctypes

LIBRARY = ctypes.CDLL("libpq.so.5")
for _name, _result, _arguments in (
        ("PQconnectdb", ctypes.c_void_p, [ctypes.c_char_p]), ("PQstatus", ctypes.c_int, [ctypes.c_void_p]),
        ("PQexec", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
        ("PQresultStatus", ctypes.c_int, [ctypes.c_void_p]), ("PQclear", None, [ctypes.c_void_p]),
        ("PQntuples", ctypes.c_int, [ctypes.c_void_p]), ("PQnfields", ctypes.c_int, [ctypes.c_void_p]),
        ("PQgetvalue", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
        ("PQerrorMessage", ctypes.c_char_p, [ctypes.c_void_p]), ("PQfinish", None, [ctypes.c_void_p])):
    getattr(LIBRARY, _name).restype = _result
    getattr(LIBRARY, _name).argtypes = _arguments
FINE = (1, 2)  # PGRES_COMMAND_OK, PGRES_TUPLES_OK


class Refused(Exception):
    """The server said no; the text is its own."""


class Connection:
    def __init__(self, url):
        self.handle = LIBRARY.PQconnectdb(url.encode())
        if LIBRARY.PQstatus(self.handle) != 0:
            raise Refused(LIBRARY.PQerrorMessage(self.handle).decode())

    def rows(self, sql):
        result = LIBRARY.PQexec(self.handle, sql.encode())
        try:
            if LIBRARY.PQresultStatus(result) not in FINE:
                raise Refused(LIBRARY.PQerrorMessage(self.handle).decode())
            return [[LIBRARY.PQgetvalue(result, row, field).decode() for field in range(LIBRARY.PQnfields(result))]
                    for row in range(LIBRARY.PQntuples(result))]
        finally:
            LIBRARY.PQclear(result)

    def close(self):
        LIBRARY.PQfinish(self.handle)
