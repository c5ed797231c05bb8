"""Makes Copier quick where it is called hundreds of times: what it says and writes stays the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path
from types import CodeType
from typing import Any

from copier import _template
from copier._main import Worker
from jinja2 import Environment

COPIER: Any = _template  # what it imports is nobody's to replace, says its type
COMPILE, LOAD, CLONE = Environment.compile, COPIER.load_template_config, COPIER.clone


def quicken() -> None:
    """Compile equal Jinja once, not for each part of each path; read equal questions once; ask git for no mode.

    A version is cloned once: in these tests no tag moves. What is left out serves repositories with
    `core.fileMode=false`, and calls git once a file.
    """
    kept, clones = tempfile.TemporaryDirectory(prefix="clones-"), dict[tuple[str, str], str]()
    codes, configs = dict[Any, Any](), dict[bytes, dict[str, Any]]()

    def compile_once(self: Environment, source: str, *names: str | None, **how: bool) -> str | CodeType:
        key = (source, names[:1], *how.items(), self.line_statement_prefix, *sorted(self.extensions))
        if key not in codes:
            codes[key] = COMPILE(self, source, *names, **how)  # type: ignore[call-overload]
        code: str | CodeType = codes[key]
        return code

    def load_once(path: Path, quiet: bool = False) -> dict[str, Any]:
        text = path.read_bytes()
        if text not in configs:
            configs[text] = dict(LOAD(path, quiet))
        return deepcopy(configs[text])

    def clone_once(url: str, ref: str, location: str) -> str:
        if ref == "HEAD":
            return str(CLONE(url, ref, location))
        if (url, ref) not in clones:
            clones[url, ref] = CLONE(url, ref, tempfile.mkdtemp(dir=kept.name))
        shutil.copytree(clones[url, ref], location, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
        return location

    COPIER.clone = clone_once
    Environment.compile = compile_once  # type: ignore[method-assign, assignment]
    COPIER.load_template_config = load_once
    Worker._sync_git_index_executable_bit = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001
