"""What no client should send to the service, by name: bytes as they go over the line."""

from __future__ import annotations

import gzip
import json
import pickle

ROW = json.dumps({"pixels": [[0] * 8] * 8}).encode()
GOOD = b'{"rows": [%s]}' % ROW
JSON = b"Content-Type: application/json\r\n"
BODY = b"Content-Length: %d\r\n\r\n%b"


def post(body: bytes, headers: bytes = JSON, path: bytes = b"/predict") -> bytes:
    """A request with a body, otherwise as it should be."""
    return b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b" % (path, headers) + BODY % (len(body), body)


def get(target: bytes, method: bytes = b"GET", more: bytes = b"") -> bytes:
    """A request without a body."""
    return b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n" % (method, target, more)


def rows(row: bytes) -> bytes:
    """A request with one row."""
    return post(b'{"rows": [%b]}' % row)


def framed(headers: bytes, body: bytes = GOOD) -> bytes:
    """A request whose own headers say how long it is."""
    return b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + JSON + headers + b"\r\n" + body


class Harmful:
    """What creates a file once somebody unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("pwned.txt", "w")


PICKLE = pickle.dumps(Harmful())
BOMB = gzip.compress(b"[" * 50_000_000, 9)
PIECE = b"186a0\r\n" + b" " * 100_000 + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
BAD = {
    "no body": post(b""),
    "not JSON": post(b"pixels=1"),
    "half of a JSON": post(GOOD[:-5]),
    "more than one JSON": post(GOOD + GOOD),
    "no UTF-8": post(b'{"rows": ["\xff\xfe"]}'),
    "UTF-16": post(GOOD.decode().encode("utf-16")),
    "NaN": rows(ROW.replace(b"0", b"NaN", 1)),
    "Infinity": rows(ROW.replace(b"0", b"-Infinity", 1)),
    "a number beyond all": rows(ROW.replace(b"0", b"1e400", 1)),
    "an integer of 5,000 digits": rows(ROW.replace(b"0", b"9" * 5000, 1)),
    "an integer of 4,000 digits": rows(ROW.replace(b"0", b"9" * 4000, 1)),
    "one name twice": post(b'{"rows": [%b], "rows": []}' % ROW),
    "one name twice in a row": rows(ROW[:-1] + b', "pixels": []}'),
    "an array": post(b"[%b]" % ROW),
    "no rows": post(b'{"rows": []}'),
    "rows that are null": post(b'{"rows": null}'),
    "257 rows": post(b'{"rows": [%b]}' % b",".join([ROW] * 257)),
    "a field that nobody knows": post(b'{"rows": [%b], "model": "../../best.pt"}' % ROW),
    "a field of a row that nobody knows": rows(ROW[:-1] + b', "path": "/etc/passwd"}'),
    "a wrong shape": rows(b'{"pixels": [[0, 0], [0]]}'),
    "words for numbers": rows(ROW.replace(b"0", b'"zero"', 1)),
    "a number out of range": rows(ROW.replace(b"0", b"17", 1)),
    "half a character": rows(b'{"pixels": "\\ud800"}'),
    "half a character as a name": rows(b'{"\\udfff": 0}'),
    "a null byte in a name": rows(b'{"pixels\\u0000": 0}'),
    "letters that look alike": rows('{"\u0440ixels": [], "\u202e": "\ufeff\U000e0041"}'.encode()),
    "100,000 arrays in each other": post(b"[" * 100_000 + b"]" * 100_000),
    "100,000 objects in each other": post(b'{"rows":' * 100_000 + b"1" + b"}" * 100_000),
    "900 arrays in each other": rows(b"[" * 900 + b"]" * 900),
    "another content type": post(GOOD, b"Content-Type: text/plain\r\n"),
    "no content type": post(GOOD, b""),
    "a form with a file": post(b"--x\r\n\r\n--x--", b"Content-Type: multipart/form-data; boundary=x\r\n"),
    "a pickle": post(PICKLE, b"Content-Type: application/octet-stream\r\n"),
    "a pickle that says to be JSON": post(PICKLE),
    "a bomb of gzip": post(BOMB, JSON + b"Content-Encoding: gzip\r\n"),
    "a bomb of gzip in pieces": framed(
        b"Content-Encoding: gzip\r\n" + CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BOMB), BOMB)
    ),
    "a body of 3 MB": post(b" " * 3_000_000),
    "a body of 3 MB in pieces": framed(CHUNKED, PIECE * 30),
    "a body that is said to have 10 GB": framed(b"Content-Length: 10000000000\r\n", b"{"),
    "a length below 0": framed(b"Content-Length: -1\r\n"),
    "a length that is no number": framed(b"Content-Length: 0x10\r\n"),
    "two lengths": framed(b"Content-Length: 3\r\nContent-Length: 4\r\n"),
    "a length and pieces": framed(b"Content-Length: 4\r\n" + CHUNKED, b"0\r\n\r\n" + SMUGGLED),
    "pieces whose length is nonsense": framed(CHUNKED, b"zz\r\n" + GOOD),
    "a piece that is longer than it says": framed(CHUNKED, b"2\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "pieces that are no pieces": framed(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "pieces by another name": framed(b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "a space before a colon": framed(b"Content-Length : 4\r\n", b"null"),
    "a header on two lines": framed(b"Content-Length:\r\n 4\r\n", b"null"),
    "a header without a colon": get(b"/health", more=b"nonsense\r\n"),
    "a null byte in a header": get(b"/health", more=b"X: a\x00b\r\n"),
    "no host": b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": get(b"/health", more=b"Host: y\r\n"),
    "a method that is not there": get(b"/predict"),
    "PUT": get(b"/predict", b"PUT"),
    "TRACE": get(b"/health", b"TRACE"),
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "a method that nobody knows": get(b"/health", b"FROBNICATE"),
    "a way out of the folder": get(b"/../../../etc/passwd"),
    "a way out of the folder, written otherwise": get(b"/%2e%2e/%2e%2e/etc/passwd"),
    "a way out of the folder, with slashes hidden": get(b"/..%2f..%2fetc%2fpasswd"),
    "a null byte in a path": get(b"/health%00.html"),
    "a path that is no UTF-8": get(b"/%ff%fe"),
    "letters in a path as they are": get("/größe".encode()),
    "a path with two slashes": get(b"//health"),
    "a path of 30,000 letters": get(b"/" + b"a" * 30_000),
    "1,000 headers": get(b"/health", more=b"".join(b"X-%d: a-value-that-is-not-so-short\r\n" % n for n in range(1000))),
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "HTTP/3.7": b"GET /health HTTP/3.7\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "bytes": bytes(range(256)),
    "labels of nobody": post(b'{"labels": [{"id": "../x", "target": 1}]}', path=b"/labels"),
    "labels that are none": post(b'{"labels": "x"}', path=b"/labels"),
}
