#!/usr/bin/env python3
"""Finds files that should not be committed: large ones, and those that look as if they held a key, token or password.

A line that ends in `pragma: allowlist secret` is let through; so is a large file that git-lfs keeps.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
from pathlib import Path

# Of what a program makes: forty hexadecimal digits have about 3.7 bits a sign, names in code fewer digits.
FEWEST_DIGITS = 3
FEWEST_BITS = 3.2
NEWLINE = b"\n"
ALLOWED = b"pragma: allowlist secret"
GENERATED = re.compile(r"(^|/)(\w+\.lock|package-lock\.json|pnpm-lock\.yaml)$")  # as large as they are
FILES = re.compile(
    r"(^|/)(\.env(\.(?!example$|sample$|template$|dist$)[\w.-]+)?|[._]netrc|\.pypirc|\.pgpass|\.aws/credentials|kaggle\.json"
    r"|id_(rsa|dsa|ecdsa|ed25519)|[^/]+\.(p12|pfx|jks|keystore|kdbx))$"
)
KINDS = {
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "a token of GitHub": rb"\bgh[opsru]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{60,}",
    "a token of GitLab": rb"\bglpat-[\w-]{20,}",
    "a token of Hugging Face": rb"\bhf_[A-Za-z0-9]{34,}",
    "a key of a model's provider": rb"\bsk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{32,}",
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
GIVEN = re.compile(
    rb"(?i:api_?key|access_?key|secret|token|passw(?:or)?d)\w*[\"']?\s*[:=]\s*"
    rb"(?:[\"']([\w+/=.~-]{20,})[\"']|([\w+/=~-]{20,})$)"
)
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
    return found if b"\0" in data[:8000] else found + secrets(name, data)


def secrets(name: str, data: bytes) -> list[str]:
    """Return a line for each line of a text that seems to hold a secret; it is never shown."""
    found = []
    for start in sorted(suspicious(data)):
        end = data.find(NEWLINE, start)
        line = data[start : end if end >= 0 else None].rstrip()
        if ALLOWED not in line and (what := guess(line)):
            place = f"{name}:{data.count(NEWLINE, 0, start) + 1}"
            found.append(
                f"{place}: looks like {what}; make it anew and keep it out of git ({ALLOWED.decode()} lets it be)"
            )
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
        if (match := re.search(kind, line)) and not PLACEHOLDER.search(match[0]):
            return what
    if any(generated(match[1] or match[2]) for match in GIVEN.finditer(line)):
        return "a key, token or password"
    address = ADDRESS.search(line)
    return "a password in an address" if address and not PLACEHOLDER.search(address[1]) else ""


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


def in_lfs(name: str) -> bool:
    """Whether git-lfs keeps a file."""
    command = ["git", "check-attr", "-z", "filter", "--", name]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (a name is no option behind --)
    return done.stdout.endswith(b"\0lfs\0")


def tracked() -> list[str]:
    """Return the files that git knows; SystemExit(2) where this is no repository."""
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own words)
    if done.returncode:
        sys.stderr.write(f"{done.stderr.decode(errors='replace').strip()}; want file names or a git repository\n")
        raise SystemExit(2)
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
    found = [line for name in options.names or tracked() for line in check(name, options.max_kb * 1000)]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
