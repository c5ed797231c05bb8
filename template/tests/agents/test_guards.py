# copier: filter replace("my_project", package_name)
"""The guards stop what they should, and nothing that looks like it."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import my_project
from my_project_agents import guards

PACKAGE = Path(next(iter(my_project.__path__)))
CLAUDE = Path(__file__).parents[2] / ".claude"
DATA = "src/demo/data/digits"
SEALED, KEPT, PUSH, INFRASTRUCTURE = "sealed", "nobody edits", "git push", "infrastructure"
SERVED = "a person's decision"
BASH = [
    (f"cat {DATA}/digits_test.npz", SEALED),
    (f"cat ./{DATA}/../digits/digits_test.npz | head -c 10", SEALED),
    (f"cp {DATA}/digits_test.npz /tmp/x.npz", SEALED),
    (f"ln -s $PWD/{DATA}/digits_test.npz here", SEALED),
    (f"base64 {DATA}/digits_te''st.npz", SEALED),
    (f"cat {DATA}/*", SEALED),
    (f"cat {DATA}/digits_????.npz", SEALED),
    ("cat " + DATA + "/{digits,digits_test}.npz", SEALED),
    (f"cd {DATA} && xxd d*t.npz", SEALED),
    ("cat src/**/digits/*", SEALED),
    ("t=_test; cat src/demo/data/digits/digits$t.npz", SEALED),
    (f"for f in {DATA}/*; do cat $f; done", SEALED),
    ("find src -name '*.npz' -exec cat {} +", SEALED),
    ("find src -name '*_test*.npz' | xargs cat", SEALED),
    (f"git show HEAD:{DATA}/digits_test.npz", SEALED),
    (f"bash -c 'sha1sum {DATA}/digits_test.npz'", SEALED),
    (f'echo "$(base64 {DATA}/digits_test.npz)"', SEALED),
    (f"echo `base64 {DATA}/digits_test.npz`", SEALED),
    (f"python -c \"import numpy; numpy.load('{DATA}/digits_test.npz')\"", SEALED),
    ("python3 -c \"from pathlib import Path; [p.read_bytes() for p in Path('src').rglob('*.npz')]\"", SEALED),
    ("python -c 'from demo.data.digits import DigitsConfig; DigitsConfig().build(\"test\")'", SEALED),
    (f"python - <<'EOF'\nimport numpy\nprint(numpy.load('{DATA}/digits_test.npz'))\nEOF", SEALED),
    ("python - <<EOF\nConfig().data.build('test')\nEOF", SEALED),
    ("uv run python -c 'DigitsConfig().build(\"test\")'", SEALED),
    ("uv run --extra agents --with rich python -c 'DigitsConfig().build(\"test\")'", SEALED),
    ("uv run rm runs/mlp-1/final.json", KEPT),
    ("python look.py", SEALED),
    ("uv run python ./look.py --fast", SEALED),
    ("xxd my_data/test_inputs.npy", SEALED),
    (f"grep -c label {DATA}/digits_test.npz", SEALED),
    (f"wc -c < {DATA}/digits_test.npz", SEALED),
    (f"echo $(< {DATA}/digits_test.npz)", SEALED),
    ("rm runs/mlp-1/final.json", KEPT),
    ("rm models/demo/1/best.pt", KEPT),
    ("rm -r models/demo/1", KEPT),
    ("rm -r models/demo", KEPT),
    ("echo '{}' > models/demo/current.json", KEPT),
    ("demo models promote runs/mlp-1", SERVED),
    ("uv run demo models rollback demo", SERVED),
    ("uv run python -m demo models promote runs/mlp-1 --name demo", SERVED),
    ("uv run demo models list", ""),
    ("grep -r 'models promote' docs", ""),
    ("rm -f runs/mlp-1/*", KEPT),
    ("rm -rf runs/mlp-1", KEPT),
    ("cp /tmp/better.pt runs/mlp-1/best.pt", KEPT),
    ("mv runs/mlp-1/last.pt runs/mlp-1/best.pt", KEPT),
    ("echo '{}' > runs/mlp-1/evaluation.json", KEPT),
    ("echo 1 | tee runs/mlp-1/final.json", KEPT),
    ("sed -i s/0.9/0.99/ runs/mlp-1/metrics.jsonl", KEPT),
    ("cd runs/mlp-1 && rm lock", KEPT),
    ("cd runs/mlp-1; date &>> metrics.jsonl", KEPT),
    ("date >| runs/mlp-1/final.json", KEPT),
    ("dd if=/dev/zero of=runs/mlp-1/best.pt count=1", KEPT),
    ("sed -i s/2.13/2.12/ uv.lock", KEPT),
    ("python -c \"import torch; torch.save({}, 'runs/mlp-1/best.pt')\"", KEPT),
    ("python -c \"open('runs/mlp-1/final.json', 'w')\"", KEPT),
    ("echo 'exit 0' > .claude/hooks/guard.py", "guards this project"),
    ("git push", PUSH),
    ("git -C . push --force origin main", PUSH),
    ("git add . && git -c user.name=x push", PUSH),
    ("sh -c 'git push'", PUSH),
    ("GIT_TRACE=1 /usr/bin/git push", PUSH),
    ("eval git push", PUSH),
    ("terraform apply", INFRASTRUCTURE),
    ("cd infra; sudo terraform plan", INFRASTRUCTURE),
    ("echo y | kubectl delete pod x", INFRASTRUCTURE),
    ("timeout 30 aws s3 ls", INFRASTRUCTURE),
    ("x=$(gcloud config list)", INFRASTRUCTURE),
    ("ls | xargs -n1 az vm start", INFRASTRUCTURE),
    ("git commit --no-verify -m x", "--no-verify"),
    # What looks like it, and goes through.
    (f"cat {DATA}/digits.npz", ""),
    (f"python -c \"import numpy; numpy.load('{DATA}/digits.npz')\"", ""),
    ("python -c 'from demo.data.digits import DigitsConfig; DigitsConfig().build(\"train\")'", ""),
    ("uv run demo evaluate runs/mlp-1 --split test --final", ""),
    ("python tests/test_digits.py", ""),
    ("python scripts/missing.py", ""),
    ("python -m demo evaluate runs/mlp-1 --split test --final", ""),
    ("uv run pytest tests/test_digits.py -k test_a_digit", ""),
    ("cat tests/*.py", ""),
    ("cat src/demo/*", ""),
    ("ruff check src/**/*.py", ""),
    (f"ls -l {DATA}", ""),
    (f"ls {DATA}/digits_test.npz", ""),
    ("grep -rn digits_test.npz src tests", ""),
    (f"git add {DATA}/digits_test.npz", ""),
    ("echo 'digits_test.npz is sealed'", ""),
    ("cat > note.md <<'EOF'\nnever cat digits_test.npz, never git push, no terraform\nEOF", ""),
    ("uv run demo tasks add 'git commit and git push by hand'", ""),
    ("git log --oneline | grep -i push", ""),
    ("git stash push -m wip", ""),
    ("git config push.default simple", ""),
    ("echo git push", ""),
    ("grep -rn 'terraform' docs", ""),
    ("cat docs/aws.md", ""),
    ("pip show azure", ""),
    ("python -c \"import torch; torch.load('runs/mlp-1/best.pt')\"", ""),
    ("cp runs/mlp-1/best.pt /tmp/copy.pt.bak", ""),
    ("cat runs/mlp-1/final.json runs/mlp-1/metrics.jsonl > /tmp/all.txt", ""),
    ("cat uv.lock | head", ""),
    ("uv lock && uv sync", ""),
    ("rm -rf build dist notes.json", ""),
    ("sed -n 1,5p uv.lock", ""),
    ("python -m demo train mlp --train.out /tmp/x 2>&1 | tail", ""),
    ("", ""),
    ("echo 'no end", ""),
]
TOOLS = [
    ("Read", {"file_path": f"{DATA}/digits_test.npz"}, "", SEALED),
    ("Read", {"file_path": "tests/../src/demo/data/digits/digits_test.npz"}, "", SEALED),
    ("Read", {"file_path": "elsewhere"}, "", SEALED),
    ("Grep", {"pattern": "x", "path": f"{DATA}/digits_test.npz"}, "", SEALED),
    ("Grep", {"pattern": "x", "glob": "*.npz"}, "", SEALED),
    ("Write", {"file_path": f"{DATA}/digits_test.npz"}, "", SEALED),
    ("Edit", {"file_path": "runs/mlp-1/final.json"}, "", KEPT),
    ("Write", {"file_path": "runs/mlp-1/best.pt"}, "", KEPT),
    ("Write", {"file_path": "runs/mlp-1/lock"}, "", KEPT),
    ("Edit", {"file_path": "models/demo/1/metadata.json"}, "", KEPT),
    ("Write", {"file_path": "models/demo/1/export/model.onnx"}, "", KEPT),
    ("Write", {"file_path": "src/demo/models/x.py"}, "", ""),
    ("Edit", {"file_path": "uv.lock"}, "", KEPT),
    ("Edit", {"file_path": ".claude/settings.json"}, "", "guards this project"),
    ("Write", {"file_path": ".claude/hooks/more.py"}, "", "guards this project"),
    ("Edit", {"file_path": "src/demo_agents/guards.py"}, "", "guards this project"),
    ("Edit", {"file_path": "src/demo_agents/stops.py"}, "", "guards this project"),
    ("Edit", {"file_path": "src/demo_agents/tasks.py"}, "", ""),
    ("Write", {"file_path": "src/demo/models/x.py"}, "ml-architect", "ml-architect"),
    ("Write", {"file_path": "docs/designs/../../README.md"}, "ml-architect", "ml-architect"),
    ("Bash", {"command": "echo x > src/demo/models/x.py"}, "ml-architect", "ml-architect"),
    ("Write", {"file_path": "docs/designs/x.md"}, "ml-architect", ""),
    ("Bash", {"command": "git diff 2>&1 | head 2>/dev/null"}, "ml-architect", ""),
    ("Write", {"file_path": "src/demo/models/x.py"}, "ml-engineer", ""),
    ("Read", {"file_path": f"{DATA}/digits.npz"}, "", ""),
    ("Read", {"file_path": "runs/mlp-1/final.json"}, "", ""),
    ("Read", {"file_path": "tests/test_digits.py"}, "", ""),
    ("Grep", {"pattern": "digits_test.npz", "path": "src"}, "", ""),
    ("Edit", {"file_path": "src/demo/data/lock.py"}, "", ""),
    ("Write", {"file_path": "docs/final.md"}, "", ""),
    ("Edit", {"file_path": ".claude/agents/ml-engineer.md"}, "", ""),
]


@pytest.fixture
def project(workspace: Path) -> Path:
    """A small project with sealed data, a run, and the hook beside the guards."""
    files = [f"{DATA}/digits.npz", f"{DATA}/digits_test.npz", "src/demo/__main__.py", "tests/test_digits.py", "uv.lock"]
    files += [f"runs/mlp-1/{name}" for name in ("best.pt", "last.pt", "final.json", "lock", "metrics.jsonl")]
    files += [f"models/demo/{name}" for name in ("current.json", "1/best.pt", "1/metadata.json", "1/export/model.onnx")]
    for name in files:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("", encoding="utf-8")
    for name in ("look.py", "tests/test_digits.py"):
        (workspace / name).write_text("DigitsConfig().build('test')\n", encoding="utf-8")
    (workspace / "elsewhere").symlink_to(workspace / DATA / "digits_test.npz")
    (workspace / "src/demo_agents").mkdir()
    for name in ("guards.py", "stops.py"):
        shutil.copy(Path(guards.__file__).with_name(name), workspace / "src/demo_agents")
    if CLAUDE.exists():
        shutil.copytree(CLAUDE / "hooks", workspace / ".claude/hooks")
    return workspace


def event(tool: str, given: dict[str, Any], agent: str = "", **more: Any) -> dict[str, Any]:
    who = {"agent_type": agent} if agent else {}
    return {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given, **who, **more}


def hook(project: Path, what: object) -> tuple[int, str]:
    script, text = project / ".claude/hooks/guard.py", what if isinstance(what, str) else json.dumps(what)
    command = [sys.executable, "-I", str(script)]
    done = subprocess.run(command, cwd=project, input=text, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(("command", "why"), BASH, ids=[command[:60] for command, _ in BASH])
def test_a_command_of_the_shell_is_stopped_or_let_through(project: Path, command: str, why: str) -> None:
    said = guards.decide(event("Bash", {"command": command}), project)
    assert (why in said) if why else (said == "")


@pytest.mark.parametrize(("tool", "given", "agent", "why"), TOOLS)
def test_a_tool_is_stopped_or_let_through(
    project: Path, tool: str, given: dict[str, str], agent: str, why: str
) -> None:
    for start in ("", f"{project}/"):  # the tool names files by their whole path, most of the time
        paths = {key: start + value if key in {"file_path", "path"} else value for key, value in given.items()}
        said = guards.decide(event(tool, paths, agent, cwd=str(project)), project)
        assert (why in said) if why else (said == "")


@pytest.mark.usefixtures("claude")
def test_the_hook_ends_with_two_and_one_line(project: Path) -> None:
    assert hook(project, event("Bash", {"command": "git push"})) == (2, "git push is a person's to do\n")
    assert hook(project, event("Bash", {"command": "git status"})) == (0, "")


@pytest.mark.usefixtures("claude")
def test_the_hook_answers_in_a_moment(project: Path) -> None:
    began = time.perf_counter()
    hook(project, event("Bash", {"command": "cat src/**/*.py"}))
    assert time.perf_counter() - began < 2  # 0.1 on an idle machine


@pytest.mark.usefixtures("claude")
@pytest.mark.parametrize("damage", ["def decide(:\n", "import nothing_of_this_name\n", None, "decide = None\n"])
def test_broken_guards_open_nothing_and_do_not_block_everything(project: Path, damage: str | None) -> None:
    path = project / "src/demo_agents/guards.py"
    path.unlink() if damage is None else path.write_text(damage, encoding="utf-8")
    for command in (f"cat {DATA}/digits_test.npz", "git push", "git commit -m x", "terraform apply", "rm uv.lock"):
        status, said = hook(project, event("Bash", {"command": command}))
        assert status == 2
        assert "restore them" in said
    for command in ("git checkout HEAD src/demo_agents/guards.py", "pytest -q", "git status"):
        status, said = hook(project, event("Bash", {"command": command}))
        assert status == 0
        assert "do not work" in said


@pytest.mark.usefixtures("claude")
@pytest.mark.parametrize("text", ["", "{}", "no json", "[]", '{"hook_event_name": "PreToolUse"}'])
def test_an_event_that_cannot_be_read_is_no_traceback(project: Path, text: str) -> None:
    assert hook(project, text)[0] == 0


@pytest.mark.usefixtures("claude")
def test_every_deny_rule_and_hook_stands_in_the_settings() -> None:
    settings = json.loads((CLAUDE / "settings.json").read_text("utf-8"))
    denied = " ".join(settings["permissions"]["deny"])
    assert all(re.search(rf"Bash\({tool} ", denied) for tool in guards.WITHHELD)
    assert {"PreToolUse", "SubagentStop"} == {*settings["hooks"]}
    for groups in settings["hooks"].values():
        for line in (one["command"] for group in groups for one in group["hooks"]):
            assert "/.claude/hooks/guard.py" in line
            assert line.endswith("|| exit 2")  # where there is no python3, the gate stays shut


def test_the_package_fetches_and_extracts_nothing() -> None:
    banned = r"^\s*(?:import|from) (?:requests|urllib|httpx|sqlalchemy|sqlite3|boto3|ftplib)\b|read_sql|urlopen"
    keeps = {PACKAGE / "serving/store.py"}  # the service's own log of what it answered
    paths = {*PACKAGE.rglob("*.py")} - keeps
    sources = [path for path in paths if re.search(banned, path.read_text("utf-8"), re.MULTILINE)]
    assert sources == []
    # copier: endfilter
