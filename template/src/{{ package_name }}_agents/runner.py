"""Runs the ml-expert specialist with the Claude Agent SDK: it plans, it edits, and every claim it makes is checked."""

import asyncio
import json
import logging
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from . import claims, contexts
from .schemas import Result, first_error
from .skeleton import FAMILIES, add_tests, create_model_skeleton
from .strict import Strict

HELP = "give a request to the ml-expert specialist; plan, edit, then check every claim"
SDK = "claude_agent_sdk"  # of the extra; imported by name, so that types are checked without it just the same
STATUSES = {"implementation_complete": 0, "partial": 1, "failed": 1, "needs_clarification": 2, "stopped": 3}
READ, EDIT = ["Read", "Grep", "Glob"], ["Write", "Edit", "Bash"]
COMMANDS = ["Bash(uv run *)", "Bash(python -m pytest *)", "Bash(git status *)", "Bash(git diff *)"]
NAME = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "create_model_skeleton": (
        "Write a new model with its config, preset and test, wired for the project's data.",
        {"name": NAME, "family": {"type": "string", "enum": [*FAMILIES]}},
    ),
    "add_tests": ("Write tests that a model keeps its contract.", {"kind": NAME}),
    "benchmark_model": (
        "Measure parameters, latency and memory of a preset's model.",
        {"preset": {"type": "string"}, "device": {"type": "string", "enum": ["cpu", "cuda", "mps"]}},
    ),
}
PLAN = "Plan this; change nothing yet. Name files, their order, tests, and what is unclear.\n\n{context}"
WORK = """Implement this plan. Answer with the result package, and the preset whose model the figures are of.
Where the requirements leave open what is wanted, change nothing: leave the result out and ask in open_questions.

{context}

The plan:

{plan}"""

logger = logging.getLogger(__name__)


class Answer(Strict):
    """What the specialist answers with: its result, or the questions that it needs an answer to first."""

    result: Result | None = None
    preset: str = ""  # whose model was measured
    open_questions: tuple[str, ...] = ()


class NoAnswerError(Exception):
    """The specialist came to no answer; the sentence says why."""


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("--context", type=Path, required=True, metavar="FILE", help="what gather_context.py wrote")
    default = os.environ.get("ML_EXPERT_MODEL", "sonnet")
    parser.add_argument("--model", default=default, metavar="NAME", help="an alias, or a model's name (%(default)s)")
    parser.add_argument("--minutes", type=float, default=60, metavar="N", help="stop after this time (%(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="check the context, say what would be asked, and stop")


def start(skill: Path, words: list[str] | None = None) -> int:
    """Run the skill in this folder on the words of a command line; return the exit status."""
    parser = ArgumentParser(description=HELP)
    add_arguments(parser)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    given = parser.parse_args(words)
    try:
        told = main(skill, **vars(given))
    except ValueError as error:
        logger.error("error: %s", " ".join(str(error).split()))
        return 2
    except OSError as error:
        logger.error("error: %s", " ".join(str(error).split()))
        return 4
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return STATUSES.get(told["status"], 0)


def main(skill: Path, context: Path, model: str, minutes: float, *, dry_run: bool = False) -> dict[str, Any]:
    """Return what came of a request; the project is the one that the skill's folder lies in."""
    wanted, root = contexts.read(context), skill.resolve().parents[2]
    prompt = (skill / "agents" / "ml-expert-specialist.prompt").read_text("utf-8")
    warnings = contexts.missing(wanted, root)
    for line in warnings:
        logger.warning("warning: %s", line)
    text = json.dumps(wanted.model_dump(mode="json", exclude_unset=True), indent=2)
    if dry_run:
        phases = [{"mode": "plan", "tools": READ}, {"mode": "acceptEdits", "tools": READ + EDIT + list(TOOLS)}]
        return {"status": "dry run", "model": model, "phases": phases, "warnings": warnings, "context": text}
    if not find_spec(SDK):
        raise OSError("claude-agent-sdk is not installed: uv sync --extra agents")
    try:
        answer = asyncio.run(asyncio.wait_for(work(prompt, text, model, root), 60 * minutes))
    except TimeoutError:
        return {"status": "stopped", "why": f"{minutes:g} minutes are over; what was written is kept"}
    except NoAnswerError as error:
        return {"status": "stopped", "why": str(error)}
    return judged(answer, root) | {"warnings": warnings}


def judged(answer: Answer, root: Path) -> dict[str, Any]:
    """Return an answer's result with what it claims and the disk does not bear out; any of that makes it partial."""
    told: dict[str, Any] = {"open_questions": [*answer.open_questions]}
    if not answer.result:
        status = "needs_clarification" if answer.open_questions else "failed"
        return {"status": status, **told}
    differences = claims.verify(answer.result, answer.preset, root)
    status = "partial" if differences and answer.result.status == "implementation_complete" else answer.result.status
    result = answer.result.model_copy(update={"status": status})
    return {"status": status, "result": result.model_dump(mode="json"), "differences": differences, **told}


async def work(prompt: str, context: str, model: str, root: Path) -> Answer:
    """Let the specialist plan without writing, then work by its plan; return its answer."""
    sdk: Any = import_module(SDK)
    shared: dict[str, Any] = {"model": model, "system_prompt": prompt, "cwd": root, "setting_sources": ["project"]}
    shared |= {"strict_mcp_config": True, "stderr": logger.debug}
    plan = await ask(sdk.ClaudeAgentOptions(tools=READ, permission_mode="plan", **shared), PLAN.format(context=context))
    logger.info("the plan:\n%s", plan.result)
    schemas = {name: {"type": "object", "properties": p, "required": [*p][:2]} for name, (_, p) in TOOLS.items()}
    schemas["benchmark_model"]["required"] = ["preset"]
    own = [sdk.tool(name, TOOLS[name][0], schemas[name])(handler(name, root)) for name in TOOLS]
    options = sdk.ClaudeAgentOptions(
        tools=READ + EDIT,
        allowed_tools=[*READ, *COMMANDS, *(f"mcp__project__{name}" for name in TOOLS)],
        permission_mode="acceptEdits",
        mcp_servers={"project": sdk.create_sdk_mcp_server("project", tools=own)},
        output_format={"type": "json_schema", "schema": Answer.model_json_schema(mode="serialization")},
        **shared,
    )
    done = await ask(options, WORK.format(context=context, plan=plan.result))
    try:
        return Answer.model_validate(done.structured_output)
    except ValidationError as error:
        raise NoAnswerError(f"the specialist's answer is no result package: {first_error(error, 'answer')}") from None


async def ask(options: Any, prompt: str) -> Any:
    """Return the last message of one conversation; NoAnswerError where it is an error."""
    sdk: Any = import_module(SDK)
    last = None
    try:
        async with sdk.ClaudeSDKClient(options) as client:
            await client.query(prompt)
            async for message in client.receive_response():  # it ends with the ResultMessage
                if isinstance(message, sdk.AssistantMessage):
                    logger.debug("%s", "\n".join(b.text for b in message.content if isinstance(b, sdk.TextBlock)))
                last = message if isinstance(message, sdk.ResultMessage) else last
    except sdk.ClaudeSDKError as error:
        raise OSError(f"the command-line tool failed: {error}") from None
    if last is None or last.is_error:
        raise NoAnswerError(
            f"the conversation ended without an answer: {last and (last.errors or last.result or last.subtype)}"
        )
    return last


def handler(name: str, root: Path) -> Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]:
    """Return the tool of this name: it calls what the scripts call, and tells a mistake in one line."""

    def call(given: dict[str, Any]) -> dict[str, Any]:
        if name == "benchmark_model":
            return claims.measured(given["preset"], given.get("device", "cpu"), root)
        if name == "add_tests":
            return add_tests(given["kind"], root)
        return create_model_skeleton(given["name"], given["family"], root)

    async def answer(given: dict[str, Any]) -> dict[str, Any]:
        try:
            text, wrong = json.dumps(await asyncio.to_thread(call, given)), False
        except (ValueError, OSError) as error:
            text, wrong = f"error: {error}", True
        return {"content": [{"type": "text", "text": text}], "is_error": wrong}

    return answer
