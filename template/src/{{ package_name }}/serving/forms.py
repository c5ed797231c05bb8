"""The files that a model is written to, and how each is opened again: torch.export's program, and ONNX."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..config import Config
from ..data.loader import Dataset
from ..evaluation.budgets import latency
from ..run import open_run
from .parity import NUM_EXAMPLES, NUM_ROWS, Tensors, resized
from .program import Form, program_of

LEAST_LENGTH = 4  # a length that is to vary has at least so many places


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run as what is exported of it, with real rows of the validation split."""

    config: Config
    model: nn.Module
    checkpoint: Path
    data: Dataset  # the validation split
    program: Any  # a module from tensors [B, ...] to a tensor [B, ...]
    tensors: Tensors  # of up to NUM_ROWS rows
    dynamic: dict[str, int]  # which dimension of an input is a length that may vary

    @property
    def name(self) -> str:
        """What the model is called."""
        return str(self.config.model.kind)

    @property
    def row(self) -> list[Tensor]:
        """The tensors [1, ...] of one row."""
        return [tensor[:1] for tensor in self.tensors.values()]

    def timed(self, form: Form) -> dict[str, float]:
        """Return median and 95th percentile of the time [ms] in which a form answers one row."""

        def once(row: list[Tensor] = self.row) -> None:
            form(*row)

        return latency(self.program, once)


def open_rows(run: Path) -> Opened:
    """Open the best weights of a run, or a checkpoint, beside rows of the validation split."""
    config, model, checkpoint = open_run(run)
    data = config.data.build("val")
    batch = data[torch.arange(min(NUM_ROWS, len(data))), 0]
    program = program_of(config, model, batch)
    tensors = {name: tensor.contiguous() for name, tensor in program.tensors(batch).items()}
    return Opened(
        config=config,
        model=model,
        checkpoint=checkpoint,
        data=data,
        program=program,
        tensors=tensors,
        dynamic=lengths(program, tensors),
    )


class OneMore(nn.Module):
    """A program that answers its last row twice, and forgets the second answer."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, *tensors: Tensor) -> Tensor:
        """Answer tensors [B, ...] -> [B, ...]."""
        outputs: Tensor = self.program(*(torch.cat([tensor, tensor[-1:]]) for tensor in tensors))
        return outputs[:-1]


@torch.inference_mode()
def lengths(program: nn.Module, tensors: Tensors) -> dict[str, int]:
    """Say which tensors [B, ..., L] of tokens may have another length: the model answers rows that are cut, too."""
    found, few = dict[str, int](), {name: tensor[:NUM_EXAMPLES] for name, tensor in tensors.items()}
    for name, tensor in few.items():
        last = tensor.ndim - 1
        if last and not tensor.is_floating_point() and tensor.shape[last] >= LEAST_LENGTH:
            with suppress(RuntimeError, ValueError, IndexError):  # rows of a puzzle, say, are never shorter
                program(*resized(few, {name: last}, shorter(tensor.shape[last])).values())
                found[name] = last
    return found


def shorter(length: int) -> int:
    """Return a length between the shortest and the longest: what is traced is neither."""
    return length * 3 // 4


def trace(program: nn.Module, tensors: Tensors, dynamic: dict[str, int]) -> tuple[ExportedProgram, dict[str, int]]:
    """Write a module down as a graph for batches of any size, and rows of tensors [B, ..., L] of any length.

    Lengths that its code makes constants are those of the data; they are returned as well, by name.
    """
    ways, problem = [(program, False), (program, True), (OneMore(program), True)], Exception("it has no graph")
    for vary in (dynamic, {}) if dynamic else ({},):
        for module, strict in ways:
            try:
                exported = follow(module, tensors, vary, strict=strict)
            except Exception as error:  # noqa: BLE001 (whatever the tracer raises: there is another way)
                problem = error
                continue
            if varies(exported, tensors, vary):
                return exported, {name: tensors[name].shape[dim] for name, dim in dynamic.items() if name not in vary}
            break
    raise problem


def follow(program: nn.Module, tensors: Tensors, dynamic: dict[str, int], *, strict: bool) -> ExportedProgram:
    """Let torch.export follow a few rows of tensors [B, ..., L] through a module; `strict` reads its source as well."""
    few = {name: tensor[:NUM_EXAMPLES] for name, tensor in tensors.items()}
    for name, dim in dynamic.items():
        few = resized(few, {name: dim}, shorter(few[name].shape[dim]))
    batch = Dim("batch", min=1)
    shapes = tuple({0: batch, **({dynamic[name]: Dim.AUTO} if name in dynamic else {})} for name in few)
    write = partial(torch.export.export, program, tuple(few.values()), dynamic_shapes=(shapes,), strict=strict)
    with torch.no_grad(), portable(), quiet():
        exported = write()
        try:
            exported.graph.eliminate_dead_code()  # losses, which no answer needs
            exported.graph_module.recompile()
        except SystemError:  # torch loses its way in some graphs: then they keep what is dead
            exported = write()
    return exported


@torch.inference_mode()
def varies(exported: ExportedProgram, tensors: Tensors, dynamic: dict[str, int]) -> bool:
    """Say whether a graph takes tensors [B, ..., L] of the shortest and of the longest length."""
    longest = max((tensors[name].shape[dim] for name, dim in dynamic.items()), default=1)
    form, few = exported.module(), {name: tensor[:2] for name, tensor in tensors.items()}
    try:
        for length in (1, longest) if dynamic else ():
            form(*resized(few, dynamic, length).values())
    except Exception:  # noqa: BLE001 (guards of what its code made a constant, or names that are gone with them)
        return False
    return True


def save_program(exported: ExportedProgram, path: Path) -> Form:
    """Write a program, and return it as it is opened again."""
    with quiet():
        torch.export.save(exported, path)
    return open_program(path)


def open_program(path: Path) -> Form:
    """Return what answers tensors [B, ...] by a file that torch.export wrote; it needs no other file of the project."""
    module: Form = torch.export.load(path).module()
    return module


def save_onnx(exported: ExportedProgram, path: Path, names: list[str]) -> Form:
    """Write a program as ONNX, check the file, and return it as onnxruntime opens it."""
    with portable(), quiet():
        torch.onnx.export(
            exported,
            f=path,
            dynamo=True,
            input_names=names,
            output_names=["outputs"],
            external_data=False,
            verbose=False,
        )
    onnx = import_module("onnx")
    graph = onnx.load(str(path))
    del graph.graph.value_info[:]  # shapes between layers, some of the rows that were traced: each reader infers them
    onnx.save(graph, str(path))
    onnx.checker.check_model(str(path), full_check=True)
    return open_onnx(path, names)


def open_onnx(path: Path, names: list[str]) -> Form:
    """Return what answers tensors [B, ...], in the order of their names, by ONNX; it has as many threads as torch."""
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = (
        torch.get_num_threads(),
        4,
    )  # what fails is raised as well
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = [one.name for one in session.get_inputs()]  # an input that no answer depends on is left out

    def form(*tensors: Tensor) -> Tensor:
        """Answer tensors [B, ...] -> [B, ...]."""
        given = dict(zip(names, tensors, strict=True))
        (outputs,) = session.run(None, {name: given[name].numpy() for name in wanted})
        return torch.from_numpy(outputs)

    return form


@contextmanager
def portable() -> Iterator[None]:
    """Write attention as products, which every format knows, and not as one of the kernels of this processor."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what exporters say of their own code: deprecations within them, and hints for their authors."""
    root, drop = logging.getLogger(), logging.Filter("nobody")  # what logs by the root's name names nobody
    levels = {log: log.level for log in map(logging.getLogger, ("torch.onnx", "onnxscript", "onnx_ir", "torch.export"))}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # onnxscript 0.6 prints
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch|onnx|onnxscript|copyreg")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch|onnx|onnxscript|copyreg")
        try:
            root.addFilter(drop)
            for log in levels:
                log.setLevel(logging.ERROR)
            yield
        finally:
            root.removeFilter(drop)
            for log, level in levels.items():
                log.setLevel(level)


def reason(name: str, error: Exception) -> str:
    """Say in one line, by the model's name, why something is not there: what the library's innermost error says."""
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    first = next((line.strip() for line in str(inner).splitlines() if line.strip()), "no word of why")
    kind = "" if isinstance(inner, ValueError) else f"{type(inner).__name__}: "
    return f"{name}: {kind}{first[:200]}"
