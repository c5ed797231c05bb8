"""Calls of tools that a project forbids an agent, by its deny rules and by its hooks, and some that must pass."""

from __future__ import annotations

from tests.scripted_api import Block, use

DATA = "src/my_project/data/digits"
RULES: dict[str, Block] = {
    "Read(src/*/data/**/*_test.npz)": use("Read", file_path=f"{DATA}/digits_test.npz"),
    "Edit(runs/**/*.pt)": use("Write", file_path="runs/mlp-1/best.pt", content="x"),
    "Edit(runs/**/lock)": use("Edit", file_path="runs/mlp-1/lock", old_string="1", new_string="2"),
    "Edit(runs/**/*.json)": use("Write", file_path="runs/mlp-1/final.json", content="x"),
    "Edit(models/*/*.json)": use("Write", file_path="models/mlp/current.json", content="{}"),
    "Edit(models/*/[0-9]*/**)": use("Write", file_path="models/mlp/2/data/words.txt", content="x"),
    **{
        f"Bash(uv run my-project models {word} *)": use("Bash", command=f"uv run my-project models {word} mlp")
        for word in ("promote", "rollback")
    },
    "Edit(uv.lock)": use("Write", file_path="uv.lock", content="x"),
    "Edit(.claude/settings.json)": use("Write", file_path=".claude/settings.json", content="{}"),
    "Edit(.claude/hooks/**)": use("Write", file_path=".claude/hooks/guard.py", content=""),
    **{f"Bash({tool} *)": use("Bash", command=f"{tool} help") for tool in ("terraform", "kubectl", "gcloud")},
    "Bash(aws *)": use("Bash", command="cd src && aws s3 ls"),
    "Bash(az *)": use("Bash", command="az account show | head"),
    "Bash(git push *)": use("Bash", command="git push origin main"),
}
HOOKED = [
    *list(RULES.values())[1:],  # the tool reads no .npz anyway, whatever the settings say
    use("Read", file_path="src/../link"),
    use("Grep", pattern="x", path=f"{DATA}/digits_test.npz"),
    use("Bash", command=f"cat {DATA}/digits_t*.npz"),
    use("Bash", command=f"cd {DATA} && cp *.npz /tmp"),
    use("Bash", command=f"python -c \"print(open('{DATA}/digits_test.npz', 'rb').read())\""),
    use("Bash", command="rm runs/mlp-1/final.json"),
    use("Bash", command="git -C . push"),
    use("Bash", command="git commit --no-verify -m x"),
]
FREE = [
    use("Read", file_path="pyproject.toml"),
    use("Bash", command=f"ls {DATA}"),
    use("Bash", command="echo git push"),
    use("Bash", command="git log --oneline"),
    use("Bash", command="wc -l src/my_project/*.py"),
    use("Read", file_path="runs/mlp-1/final.json"),
    use("Write", file_path="notes.md", content="digits_test.npz, git push, terraform"),
]
