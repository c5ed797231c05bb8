# copier: filter replace("my_project", package_name)
"""A small project with one agent and one skill and nothing wrong, for tests that put something wrong into it."""

import re
from pathlib import Path

import my_project

SOURCE = Path(next(iter(my_project.__path__)))
ROOT = Path(__file__).parents[2]
SLUG = my_project.__name__.replace("_", "-")  # what the texts below say instead
PYPROJECT = """[project]
name = "SLUG"
[project.scripts]
SLUG = "my_project.__main__:main"
"""
AGENT = (
    """---
name: runner
description: Runs things and tells what came out. Use when something has to be run.
tools: Read, Bash
model: sonnet
maxTurns: 20
skills:
  - running
---

# Runner

Runs what it is told to, with `uv run SLUG train --fast-dev-run`, and reads `README.md`.
"""
    + "\nA line of prose.\n" * 25
)
SKILL = """---
name: running
description: How things are run. Use when something has to be run.
allowed-tools: Bash(uv run *) Read
metadata:
  version: "1.0.0"
---

# Running

The agent `runner` uses it. Read [the guide](references/guide.md) when in doubt.

```sh
uv run SLUG train --optim.lr 0.01
uv run python .claude/skills/running/scripts/measure.py --steps 2
```

```python
from my_project.config import load
```

```json
{"steps": 2}
```
"""
SCRIPT = '"""Measure."""\n\nWORDS = ["--steps"]\n'
CONTEXT = "# A project\n\nA project that runs.\n\n```sh\nuv run SLUG data verify\n```\n"
SETTINGS = """{"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [
  {"type": "command", "command": "python3 \\"$CLAUDE_PROJECT_DIR\\"/.claude/hooks/guard.py"}]}]}}
"""
FILES = {
    "README.md": "# A project\n",
    "CLAUDE.md": CONTEXT,
    "AGENTS.md": CONTEXT,
    "pyproject.toml": PYPROJECT,
    ".claude/agents/runner.md": AGENT,
    ".claude/skills/running/SKILL.md": SKILL,
    ".claude/skills/running/references/guide.md": "# Guide\n\nSee `SKILL.md`.\n",
    ".claude/skills/running/scripts/measure.py": SCRIPT,
    ".claude/settings.json": SETTINGS,
    ".claude/hooks/guard.py": '"""Guard."""\n',
}


def write(root: Path) -> Path:
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.replace("SLUG", SLUG), encoding="utf-8")
    (root / "src").mkdir()
    (root / "src" / "my_project").symlink_to(SOURCE)
    return root


def change(path: Path, pattern: str, new: str) -> None:
    """Replace one place in a file, which has to be there."""
    text, count = re.subn(pattern, lambda _: new, path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert count, f"{path} has no {pattern}"
    path.write_text(text, encoding="utf-8")


def add(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text('utf-8')}\n{text}\n".replace("SLUG", SLUG), encoding="utf-8")
    # copier: endfilter
