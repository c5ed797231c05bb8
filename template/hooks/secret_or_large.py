#!/usr/bin/env python3
"""Finds files that should not be committed: large ones, and those that look as if they held a key, token or password.

A line that ends in `pragma: allowlist secret` is let through; so is a large file that git-lfs keeps.
"""

from __future__ import annotations

import argparse
import codecs
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

# Of what a program makes: forty hexadecimal digits have about 3.7 bits a sign, names in code fewer digits.
FEWEST_DIGITS = 3
FEWEST_BITS = 3.2
FEWEST_SIGNS = 20
NEWLINE = b"\n"
ALLOWED = b"pragma: allowlist secret"
GENERATED = re.compile(r"(^|/)(\w+\.lock|package-lock\.json|pnpm-lock\.yaml)$")  # as large as they are
FILES = re.compile(
    r"(^|/)(\.env(\.(?!example$|sample$|template$|dist$)[\w.-]+)?|[._]netrc|\.pypirc|\.pgpass|\.aws/credentials|kaggle\.json"
    r"|id_(rsa|dsa|ecdsa|ed25519)|[^/]+\.(p12|pfx|jks|keystore|kdbx))$"
)
KINDS = {  # what looks ahead is bounded: the time grows with the length of a line, not with its square
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "a token of GitHub": rb"\bgh[opsru]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{60,}",
    "a token of GitLab": rb"\bglpat-[\w-]{20,}",
    "a token of Hugging Face": rb"\bhf_[A-Za-z0-9]{34,}",
    "a key of a model's provider": rb"\bsk-(?=[\w-]{0,99}\d)(?=[\w-]{0,99}[A-Z])[\w-]{32,}",
    "a key of Google": rb"\bAIza[\w-]{35}\b",
    "a token of Slack": rb"\bxox[abeoprs]-[\w-]{10,}",
    "a key of Stripe": rb"\b[rs]k_live_\w{16,}",
    "a token of PyPI": rb"\bpypi-[\w-]{80,}",
    "a token of npm": rb"\bnpm_[A-Za-z0-9]{36}\b",
}
NEEDLES = (  # in small letters: a line without any of them is passed over
    *(b"private key", b"akia", b"asia", b"gho_", b"ghp_", b"ghs_", b"ghr_", b"ghu_", b"github_pat_", b"glpat-", b"hf_"),
    *(b"sk-", b"aiza", b"xox", b"k_live_", b"pypi-", b"npm_", b"key", b"secret", b"token", b"passw", b"://"),
)
GIVEN = re.compile(  # the sign and what follows are optional, so that no word is read twice
    rb"(?i:api_?key|access_?key|secret|token|passw(?:or)?d)\w*"
    rb"(?:[\"']?\s*([:=])\s*(?:[\"']([\w+/=.~-]{20,})[\"'])?)?"
)
BARE = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz+/=~-"  # signs of a value without quotes
ADDRESS = re.compile(rb"\w://[^\s:/@\"'`]+:([^\s:/@\"'`]{6,})@\w")
PLACEHOLDER = re.compile(rb"(?i)example|xxx|\.\.\.|[<>{}$*]|password|passwd|secret|token|changeme")


def check(name: str, limit: int) -> list[str]:
    """Return a line for each reason not to commit a file; `limit` in bytes."""
    path = Path(name)
    if path.is_symlink() or not path.is_file():
        return []
    found = []
    if FILES.search(path.as_posix()):
        found.append(
            f"{name}:1: its name is that of a file with secrets; git rm --cached it, and list it in .gitignore"
        )
    if (size := path.stat().st_size) > limit and not GENERATED.search(path.as_posix()) and not in_lfs(name):
        found.append(
            f"{name}:1: large ({size // 1000} kB, want {limit // 1000} at most); keep it in git-lfs or elsewhere"
        )
    data = path.read_bytes() if size <= max(limit, 10**7) else b""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        data = data.decode("utf-16", "replace").encode()
    return found if b"\0" in data[:8000] else found + secrets(name, data)


def secrets(name: str, data: bytes) -> list[str]:
    """Return a line for each line of a text that seems to hold a secret; it is never shown."""
    found, number, counted = [], 1, 0
    for start in sorted(suspicious(data)):
        number, counted = number + data.count(NEWLINE, counted, start), start
        end = data.find(NEWLINE, start)
        line = data[start : end if end >= 0 else None].rstrip()
        if ALLOWED not in line and (what := guess(line)):
            todo = f"make it anew and keep it out of git ({ALLOWED.decode()} lets it be)"
            found.append(f"{name}:{number}: looks like {what}; {todo}")
    return found


def suspicious(data: bytes) -> set[int]:
    """Return where the lines begin that have one of the needles in them."""
    starts, small = set(), data.lower()
    for needle in NEEDLES:
        at = small.find(needle)
        while at >= 0:
            starts.add(small.rfind(NEWLINE, 0, at) + 1)
            end = small.find(NEWLINE, at)
            at = small.find(needle, end) if end >= 0 else -1
    return starts


def guess(line: bytes) -> str:
    """Say what a line seems to hold, if anything."""
    for what, kind in KINDS.items():
        if any(not PLACEHOLDER.search(match[0]) for match in re.finditer(kind, line)):
            return what
    if any(generated(value) for value in given(line)):
        return "a key, token or password"
    passwords = (match[1] for match in ADDRESS.finditer(line))
    return "" if all(PLACEHOLDER.search(password) for password in passwords) else "a password in an address"


def given(line: bytes) -> Iterator[bytes]:
    """Yield the values that a line gives a key, token or password: between quotes, or up to its end or a comment."""
    for text in {line, line.partition(b" #")[0].rstrip()}:
        begin, bare = len(text.rstrip(BARE)), len(text)
        for match in GIVEN.finditer(text):
            if match[2]:
                yield match[2]
            elif match[1] and match.end() >= begin:
                bare = match.end()
        if len(text) - bare >= FEWEST_SIGNS:
            yield text[bare:]


def generated(value: bytes) -> bool:
    """Whether a value looks as if a program had made it: letters, some digits, and many different signs."""
    if (
        PLACEHOLDER.search(value)
        or len(re.findall(rb"\d", value)) < FEWEST_DIGITS
        or not re.search(rb"[A-Za-z]", value)
    ):
        return False
    shares = [value.count(sign) / len(value) for sign in set(value)]
    return -sum(share * math.log2(share) for share in shares) > FEWEST_BITS


def refuse(why: str) -> NoReturn:
    """End with the status of wrong use and a line that says why."""
    sys.stderr.write(f"{why}\n")
    raise SystemExit(2)


def git(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Return what git did; SystemExit(2) where there is no git."""
    try:
        return subprocess.run(["git", *words], capture_output=True, check=False)  # noqa: S603, S607 (our own words)
    except OSError as error:
        refuse(f"git cannot be started ({error.strerror}); install it, or put it on PATH")


def in_lfs(name: str) -> bool:
    """Whether git-lfs keeps a file."""
    return git("check-attr", "-z", "filter", "--", name).stdout.endswith(b"\0lfs\0")


def tracked() -> list[str]:
    """Return the files that git knows; SystemExit(2) where this is no repository."""
    done = git("ls-files", "-z")
    if done.returncode:
        refuse(f"{done.stderr.decode(errors='replace').strip()}; want file names or a git repository")
    return [name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name]


def main() -> int:
    """Print a line for each finding; return 1 where there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Exit status: 0 nothing found, 1 findings, 2 wrong use."
    )
    parser.add_argument("names", nargs="*", metavar="FILE", help="files (all that git knows)")
    parser.add_argument("--max-kb", type=int, default=1000, metavar="N", help="what is larger is large (1000)")
    options = parser.parse_args()
    if options.max_kb < 1:
        parser.error(f"--max-kb {options.max_kb}: want a whole number above 0")
    if missing := [name for name in options.names if not Path(name).is_file() and not Path(name).is_symlink()]:
        refuse(f"{missing[0]}: is no file; name files that are there")
    found = [line for name in options.names or tracked() for line in check(name, options.max_kb * 1000)]
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text at all
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
