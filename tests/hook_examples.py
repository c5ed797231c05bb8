"""Files that the scripts of hooks/ find something in, and files in which there is nothing."""

from __future__ import annotations

import json
from typing import Any

OURS, THEIRS = "<" * 7, ">" * 7  # written so, lest the hook finds them here
CONFLICT = f"one\n{OURS} HEAD\ntwo\n{'=' * 7}\nthree\n{THEIRS} theirs\n"
RANDOM = "q7Zk2Lx9" + "Vb4Tn8Rw1Yc6"
HEAD = "name: runner\ndescription: Runs. Use when asked.\ntools: Read, Bash(git *)\nskills:\n  - running\n"
AGENT = f"---\n{HEAD}---\n\n# Runner\n"
SKILL = (
    "---\nname: running\ndescription: >-\n  How to run. Use it\n  when bored.\nallowed-tools: [Read, mcp__x__y]\n---\n"
)
CELL: dict[str, Any] = {
    "cell_type": "code",
    "source": ['print("\\"cell_type\\": 1")'],
    "outputs": [],
    "execution_count": None,
    "metadata": {},
}


def notebook(**changes: Any) -> str:
    """A notebook whose second cell has these values."""
    text = {"cell_type": "markdown", "source": ["# Title"], "metadata": {}}
    return json.dumps({"cells": [text, CELL | changes], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def agent(old: str = "", new: str = "") -> dict[str, str]:
    """A sound agent with one change."""
    return {".claude/agents/runner.md": AGENT.replace(old, new, 1) if old else AGENT}


def skill(old: str = "", new: str = "") -> dict[str, str]:
    """A sound skill with one change."""
    return {".claude/skills/running/SKILL.md": SKILL.replace(old, new, 1) if old else SKILL}


# What is wrong: the script that finds it, the files, and what it says of them.
BAD: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "a conflict": ("leftovers", {"a b.md": CONFLICT}, ["a b.md:2: conflict marker", "a b.md:6: conflict marker"]),
    "a conflict in half": ("leftovers", {"ä.txt": f"{THEIRS} x\r\n"}, ["ä.txt:1: conflict marker"]),
    "a rejected hunk": ("leftovers", {"README.md.rej": "@@"}, ["README.md.rej:1: rejected part"]),
    "one that git ignores": ("leftovers", {"a.rej": "@@", ".gitignore": "*.rej\n"}, ["a.rej:1: rejected part"]),
    "a copy": ("leftovers", {"src/a.py.orig": ""}, ["src/a.py.orig:1: copy that a merge made; delete it"]),
    "an obsolete file": (
        "leftovers",
        {"hooks/obsolete.txt": "# of 2.0\nsrc/*/old.py: use new.py\n", "src/a/old.py": ""},
        ["src/a/old.py:1: obsolete; use new.py"],
    ),
    "output": ("notebook_output", {"a.ipynb": notebook(outputs=[{}])}, ["a.ipynb:11: cell 2 has output; clear it"]),
    "a count": ("notebook_output", {"a.ipynb": notebook(execution_count=3)}, ["a.ipynb:11: cell 2 has a count"]),
    "no notebook": ("notebook_output", {"a.ipynb": '{"cells":\n [}'}, ["a.ipynb:2: no notebook of version 4"]),
    "a deep list": ("notebook_output", {"a.ipynb": "[" * 200_000}, ["a.ipynb:1: no notebook of version 4"]),
    "a list": ("notebook_output", {"a.ipynb": "[]"}, ["a.ipynb:1: no notebook of version 4"]),
    "a large file": ("secret_or_large", {"a.bin": "x" * 1_000_001}, ["a.bin:1: large (1000 kB, want 1000 at most)"]),
    "a file of settings": ("secret_or_large", {"app/.env": "A=1"}, ["app/.env:1: its name is that of a file with"]),
    "a key's name": ("secret_or_large", {"id_ed25519": "x"}, ["id_ed25519:1: its name"]),
    "no front matter": ("agent_files", agent("---\n"), ["runner.md:1: no front matter"]),
    "no end of it": ("agent_files", agent("---\n\n#", "#"), ["runner.md:1: no front matter"]),
    "another name": ("agent_files", agent("name: runner", "name: walker"), ["runner.md:2: name is 'walker'; want"]),
    "an unknown key": ("agent_files", agent("tools:", "tool:"), ["runner.md:4: unknown key 'tool'; want one of"]),
    "a key twice": ("agent_files", agent("tools:", "name:"), ["runner.md:4: key 'name' is there twice"]),
    "an unknown tool": ("agent_files", agent("Read", "Reed"), ["runner.md:4: unknown tool 'Reed'"]),
    "no description": ("agent_files", agent("Runs. Use when asked."), ["runner.md:3: no description"]),
    "a long one": ("agent_files", agent("Runs", "Runs" * 300), ["runner.md:3: description has 1217 letters"]),
    "a colon": ("agent_files", agent("Use when", "Use: when"), ["runner.md:3: colon in description"]),
    "a tab": ("agent_files", agent("  - r", "\t- r"), ["runner.md:6: tab in the front matter"]),
    "no entry": ("agent_files", agent("tools: ", "tools "), ["runner.md:4: 'tools Read, Bash(git *)' is no entry"]),
    "no end of a quote": ("agent_files", agent("Runs.", '"Runs.'), ["runner.md:3: quote in description has no end"]),
    "no end in a list": ("agent_files", agent("- running", "- 'running"), ["runner.md:5: quote in skills has no end"]),
    "no end in brackets": ("agent_files", skill("[Read", '[Read, "Bash'), ["SKILL.md:6: quote in allowed-tools"]),
    "a mark of bytes": ("agent_files", agent("---", "\ufeff---"), ["runner.md:1: mark of the order of bytes"]),
    "a tool and a comment": ("agent_files", agent("Read,", "Reed # all,"), ["runner.md:4: unknown tool 'Reed'"]),
    "a skill's name": ("agent_files", skill("running", "walking"), ["SKILL.md:2: name is 'walking'; want"]),
    "a skill's key": ("agent_files", skill("allowed-tools", "tools"), ["SKILL.md:6: unknown key 'tools'"]),
    "a skill's tool": ("agent_files", skill("[Read", "[Reed"), ["SKILL.md:6: unknown tool 'Reed'"]),
}  # fmt: skip
SECRETS = {
    "a private key": "-----BEGIN RSA PRIVATE " + "KEY-----",
    "a key of AWS": 'key = "AK' + f'IA{"Q2W3E4R5T6Y7U2I3"}"',
    "a token of GitHub": "url: https://gh" + f"p_{'a1B2' * 9}@github.com",
    "a token of GitLab": "gl" + f"pat-{RANDOM}",
    "a token of Hugging Face": "login('h" + f"f_{'aBc4' * 9}')",
    "a key of a model's provider": "export KEY=s" + f"k-ant-api03-{RANDOM * 2}",
    "a key of Google": "AI" + f"za{'Sy1_' * 9}"[:37],
    "a token of Slack": "xo" + f"xb-123456789012-{RANDOM}",
    "a key, token or password": "WANDB_API_" + f"KEY={'0123456789abcdef' * 3}",
    "a password in an address": "postgres://me:hunter2" + "pass@db.example.org/x",
}
SEVERAL = {  # what stands behind another of its kind, that is none, or before a comment
    "a key of AWS": f"AK{'IA'}IOSFODNN7EXAMPLE {SECRETS['a key of AWS']}",
    "a password in an address": f"a://x:password@h {SECRETS['a password in an address']}",
    "a key, token or password": f"password={RANDOM} # of the database",
}
LONG = {  # what takes longer than its length where a sign is read again and again
    "a word": "token" * 190_000,
    "a word and a sign": "token=" * 158_000 + "!",
    "a beginning": "s" + "k-" + "sk-" * 300_000,
    "an address": "a://x:" * 150_000,
    "many lines": f"password = '{RANDOM}'\n" * 25_000,
}
GOOD: dict[str, tuple[str, dict[str, str]]] = {
    "a heading": ("leftovers", {"a.md": f"Title\n{'=' * 7}\n\n    {OURS} HEAD\n>>> doctest\n{'>' * 8} x\n"}),
    "a list of what is gone": ("leftovers", {"hooks/obsolete.txt": "src/*/old.py: use new.py\n"}),
    "a clean notebook": ("notebook_output", {"a.ipynb": notebook()}),
    "a list of versions": ("secret_or_large", {"uv.lock": "x" * 1_000_001, ".env.example": "A_TOKEN=\n"}),
    "what looks like secrets": (
        "secret_or_large",
        {
            "a.py": "token = tokenizer.encode_batch_2(text_123)\nnum_tokens = 12345678901234567890123\n"
            "secret = 'a-value-that-has-a-name-and-no-digits'\nsha256 = '" + "0a1b" * 16 + "'\n"
            "password = '${{ secrets.PYPI_TOKEN_123 }}'\nrisk-Adjusted-return-on-capital-2024-edition-1\n",
            "b.yml": "url: https://user:my_password@host\nuses: a/b@3d3c42e5aac5ba805825da76410c181273ba90b1\n"
            f"api_key: {RANDOM}  # pragma: allowlist secret\nother: https://x:{'{password}'}@host\n",
        },
    ),
    "placeholders alone": ("secret_or_large", {"a.txt": "a://x:password@h b://u:changeme1@db"}),
    "an agent and a skill": ("agent_files", agent() | skill()),
    "a text between quotes": ("agent_files", agent("Runs. Use when asked.", '"Runs: all. Use it."')),
    "a comment": ("agent_files", agent("Read,", "Read # all,") | skill("[Read,", "\n  # one\n  - Read # two\n  - [")),
    "no quotes": ("agent_files", agent("Runs.", "Runs what's said, 'so to say.") | skill("How to", "'Tis how to")),
}  # fmt: skip
