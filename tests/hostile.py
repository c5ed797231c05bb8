"""Answers and answers files that somebody means ill with, or that no careful template survives."""

from __future__ import annotations

from typing import Any

from tests.answers import Answers

TEXTS = ("project_name", "description", "author_name")


def everywhere(text: str) -> Answers:
    """Put a text into every answer that is free text."""
    return dict.fromkeys(TEXTS, text)


# Whatever a person may write in one line is rendered, and stays the text that it is.
RENDERED: dict[str, Answers] = {
    "quotes": everywhere("""'"''' \"\"\" ‘’ “” « » `"""),
    "backslashes": everywhere(r"\ \\ \n \x00 \u0041 \" \' C:\temp\new"),
    "braces": everywhere("{{ 7 * 7 }} {{ cycler.__init__.__globals__.os.system('touch pwned') }}"),
    "statements": everywhere("{% for x in range(9) %}x{% endfor %} {% raw %} {% include '/etc/passwd' %}"),
    "comments": everywhere("{# gone? #} <!-- gone? --> # gone?"),
    "line statements": everywhere("# copier: if false"),
    "end of a filter": everywhere("# copier: endfilter"),
    "shell": everywhere("$(touch pwned) `touch pwned` ; touch pwned & | > pwned ${HOME} !!"),
    "workflow": everywhere("${{ secrets.TOKEN }} ::set-output name=x::y %0Apwned"),
    "YAML": everywhere("!!python/object/apply:os.system [x]: - & * | > ? % @ ` , {} #"),
    "YAML document": everywhere("--- ... ---"),
    "TOML": everywhere('"]] = [tool.evil] x = """'),
    "JSON": everywhere('"}], "status": "done", "x": [{"'),
    "HTML": everywhere("<script>alert(1)</script> &lt; &#x27; </h1>"),
    "Markdown": everywhere("[x](javascript:alert(1)) ![y](http://e.org/z) ``` *** | --- |"),
    "format strings": everywhere("%s %(x)s %n {0} {x!r:>9} {0.__class__}"),
    "null": everywhere("null"),
    "number": everywhere("1e3"),
    "date": everywhere("2026-11-22"),
    "yes": everywhere("yes"),
    "right to left": everywhere("مشروع التعلم פרויקט למידה"),
    "emoji": everywhere("🧪👩‍🔬🏳️‍🌈👨‍👩‍👧‍👦 ✅ e\u0301"),
    "marks": everywhere("Z\u0351\u0342\u0300a\u0334\u0321l\u0322\u0328g\u0327\u0320o"),
    "longest": {
        "project_name": "W" * 80,
        "description": "我" * 200,
        "author_name": "🧪" * 80,
        "package_name": "x" * 44,
    },
    "a formula": everywhere("=cmd|'/c calc'!A1 @SUM(1) +1 -1"),
}

REFUSED: dict[str, Answers] = {
    "two lines": everywhere("Mine\nlicense = 'evil'"),
    "carriage return": everywhere("Mine\rYours"),
    "end of a string": everywhere("Mine\0Yours"),
    "escape sequence": everywhere("\x1b]0;pwned\x07 Mine"),
    "line separator": everywhere("Mine\u2028Yours"),
    "next line": everywhere("Mine\x85Yours"),
    "lone surrogate": everywhere("Mine \ud83d"),
    "text that turns around": everywhere("Mine \u202etxt.exe"),
    "isolates": everywhere("\u2067Mine\u2069 \u2066Yours\u2069"),
    "marks of direction": everywhere("Mine \u200f Yours \u061c"),
    "text that nobody sees": everywhere("Mine\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065"),
    "space of no width": everywhere("Mi\u200bne"),
    "200 letters of a name": {"project_name": "N" * 200},
    "a million letters": {"description": "d" * 1_000_000},
    "a path upwards": {"package_name": "../../escape"},
    "a path from the root": {"package_name": "/tmp/escape"},  # noqa: S108 - it must not be written
    "a path of Windows": {"package_name": "..\\escape"},
    "a folder of git": {"package_name": ".git"},
    "a device of Windows": {"package_name": "com1"},
    "a name that Python runs by itself": {"package_name": "sitecustomize"},
    "letters that look the same": {"package_name": "my_рroject"},
    "wide letters": {"package_name": "ｍｙ_project"},
    "a package of 200 letters": {"package_name": "p" * 200},
    "a list for a text": {"package_name": ["my", "project"]},
    "an address with a header": {"author_email": "a@example.org\nBcc: b@example.org"},
    "an address that ends a string": {"author_email": 'a@example.org", evil = "x'},
    "a path for a choice": {"ci": "../../github"},
    "Jinja for a choice": {"task": "{{ variants | first }}"},
    "other checks, and a path": {"package_pattern": ".*", "reserved_names": "", "package_name": "../../escape"},
    "other checks, and a line": {"unprintable": "nothing", "project_name": "Mine\n[tool.evil]"},
}

# With these an update goes through, and what they add is a text or nothing.
HARMLESS = {"a thousand million laughs", "a name with Jinja", "tasks", "what an update keeps for itself"}

LAUGHS: list[Any] = ["x"]
for _ in range(30):
    LAUGHS = [LAUGHS, LAUGHS]  # which YAML writes as anchors, in a few lines

# What an answers file may become: lines added to an honest one, or None and a text instead of it.
FILES: dict[str, dict[str, Any] | str] = {
    "nothing": "",
    "a list": "- 1\n- 2\n",
    "a text": "hello\n",
    "broken YAML": "project_name: [\n",
    "tabs": "project_name:\n\t- x\n",
    "an object of Python": "project_name: !!python/object/apply:os.system ['touch pwned']\n",
    "a thousand million laughs": {"laughs": LAUGHS},
    "no source": {"_src_path": None},
    "no version": {"_commit": None},
    "a source that is not there": {"_src_path": "/nowhere/at/all"},
    "a source that is a command": {"_src_path": "ext::sh -c touch% pwned"},
    "a source that is an option": {"_src_path": "--upload-pack=touch pwned"},
    "a version that is an option": {"_commit": "--upload-pack=touch pwned"},
    "a version that is not there": {"_commit": "0123456789abcdef0123456789abcdef01234567"},
    "a package upwards": {"package_name": "../../escape"},
    "other checks, and a package upwards": {"package_pattern": ".*", "package_name": "../../escape"},
    "a name with lines": {"author_name": 'Me" }\n]\n[tool.evil]\nx = 1\n#'},
    "a name with Jinja": {"project_name": "{{ cycler.__init__.__globals__.os.system('touch pwned') }}"},
    "tasks": {"_tasks": ["touch pwned"], "_migrations": [{"command": "touch pwned"}], "_subdirectory": "../.."},
    "what an update keeps for itself": {
        "given": {"../../x": ["*"], "!": "["},
        "rendered_for": [1],
        "rendered_with": {"x": 1},
    },
}

# What `copier update` says last of some of them: a traceback of Copier's own may stand above it.
LAST = {
    "no version": "cannot obtain old template references from `.copier-answers.yml`.",
    "a source that is not there": "Local template must be a directory.",
    "a version that is not there": "Unknown revision: '0123456789abcdef0123456789abcdef01234567'",
    "a package upwards": '"../../escape" given; wanted are 2 to 44 of a-z, 0-9',
    "a name with lines": "given; wanted are 1 to 80 printable letters on one line",
}
GIVEN = {
    "--data=package_name=../x": '"../x" given; wanted are 2 to 44 of a-z, 0-9',
    "--data=ci=jenkins": "'jenkins' is not in ['github', 'gitlab', 'none']",
    "--vcs-ref=v9": "Unknown revision: 'v9'",
}
