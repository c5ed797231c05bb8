"""A Messages API on loopback that answers by a script, and the command-line tool that asks it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import claude_agent_sdk

CLI = Path(claude_agent_sdk.__file__).parent / "_bundled/claude"
TAG = re.compile(r"\[\[script:([\w-]+)\]\]")
Block = dict[str, Any]
Script = list[list[Block]] | Callable[[Mapping[str, Any], int], list[Block]]


def say(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def use(tool: str, **given: Any) -> Block:
    """A block that calls a tool."""
    return {"type": "tool_use", "name": tool, "input": given}


@dataclass
class Api:
    """The scripts by name, each a list of answers; `[[script:NAME]]` in a prompt chooses one. All requests are kept.

    A script may also be a function of the request and the number of the turn.
    """

    scripts: dict[str, Script]
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Mapping[str, Any]) -> list[Block]:
        """Return the blocks of the next turn of the script that the last tagged prompt names."""
        name, turn = called(request["messages"])
        script = self.scripts.get(name, [])
        if callable(script):
            return script(request, turn)
        return script[turn] if turn < len(script) else [say("done")]

    def of(self, name: str) -> list[dict[str, Any]]:
        """The requests that the script of this name answered."""
        return [request for request in self.requests if called(request["messages"])[0] == name]


def called(messages: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """Return the script that the last tagged message names, and how many answers it has given."""
    name, turn = "", 0
    for message in messages:
        tags = TAG.findall(written(message["content"])) if message["role"] == "user" else []
        name, turn = (tags[-1], 0) if tags else (name, turn + (message["role"] == "assistant"))
    return name, turn


def written(content: str | Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a message, without the results of tools."""
    return content if isinstance(content, str) else "\n".join(str(block.get("text", "")) for block in content)


def events(blocks: Sequence[Block], model: str, number: int) -> Iterator[dict[str, Any]]:
    """Yield what the API streams for a message of these blocks."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message: Block = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": []}
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}}
    for place, block in enumerate(blocks):
        empty: Block = {"type": "text", "text": ""}
        part: Block = {"type": "text_delta", "text": block.get("text")}
        if block["type"] == "tool_use":
            empty = {**block, "id": f"toolu_{number}_{place}", "input": {}}
            part = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": place, "content_block": empty}
        yield {"type": "content_block_delta", "index": place, "delta": part}
        yield {"type": "content_block_stop", "index": place}
    reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


def whole(streamed: Sequence[dict[str, Any]], blocks: Sequence[Block]) -> dict[str, Any]:
    """Return the message of these events as it is sent when nobody asks for a stream."""
    calls = [event["content_block"] for event in streamed if event["type"] == "content_block_start"]
    content = [{**empty, **block} for empty, block in zip(calls, blocks, strict=True)]
    return {**streamed[0]["message"], "content": content, "stop_reason": streamed[-2]["delta"]["stop_reason"]}


class Server(ThreadingHTTPServer):
    """A server that knows what it answers with."""

    api: Api


class Handler(BaseHTTPRequestHandler):
    """One request: it is written down and answered by its script."""

    server: Server

    def do_POST(self) -> None:
        """Answer a message, streamed or whole."""
        api, body = self.server.api, json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
            self.reply(200, "application/json", json.dumps({"input_tokens": 1}))
            return
        api.requests.append(body)
        try:
            blocks = api.answer(body)
        except (LookupError, TypeError, ValueError, OSError) as error:  # the tool would try again for minutes
            self.reply(400, "application/json", json.dumps({"type": "error", "error": {"message": repr(error)}}))
            return
        streamed = [*events(blocks, body["model"], len(api.requests))]
        if body.get("stream"):
            lines = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in streamed)
            self.reply(200, "text/event-stream", lines)
        else:
            self.reply(200, "application/json", json.dumps(whole(streamed, blocks)))

    def do_GET(self) -> None:
        """Have nothing else."""
        self.reply(404, "application/json", "{}")

    do_HEAD = do_GET  # noqa: N815

    def reply(self, status: int, kind: str, text: str) -> None:
        """Send a whole answer."""
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def serve(scripts: Mapping[str, Script]) -> Iterator[Api]:
    """Answer on a free port of loopback until the block ends."""
    api = Api(dict(scripts))
    with Server(("127.0.0.1", 0), Handler) as server:
        server.api = api
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def surroundings(api: Api, home: Path) -> dict[str, str]:
    """Return an environment with an empty home, no account, and this API instead of any other."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "CLAUDE", "OTEL"))}
    quiet = ["DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "DISABLE_AUTOUPDATER", "DISABLE_BUG_COMMAND"]
    return {
        **{name: value for name, value in kept.items() if not name.lower().endswith("_proxy")},
        **dict.fromkeys([*quiet, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"], "1"),
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "ANTHROPIC_BASE_URL": api.url,
        "ANTHROPIC_API_KEY": "no-account",
    }


def ask(api: Api, folder: Path, home: Path, prompt: str, *options: str, limit: int = 120) -> list[dict[str, Any]]:
    """Run the command-line tool on a prompt in a folder; return the messages that it prints."""
    argv = [str(CLI), "-p", prompt, "--output-format", "stream-json", "--verbose", "--setting-sources", "project"]
    done = subprocess.run(
        [*argv, *options],
        cwd=folder,
        env=surroundings(api, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def results(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the results of the main conversation's tools, in the order of their calls."""
    found = dict[str, str]()
    for message in messages:
        if message["type"] == "user" and not message.get("parent_tool_use_id"):
            content = message["message"]["content"]
            for block in content if isinstance(content, list) else []:
                if block["type"] == "tool_result":
                    found[block["tool_use_id"]] = written(block["content"])
    return [found[key] for key in sorted(found, key=lambda key: [int(part) for part in key.split("_")[1:]])]
