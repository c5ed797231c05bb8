"""Batch normalisation that goes into the convolution before it: in eval mode both are one linear map."""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def folded(program: nn.Module, tensors: dict[str, Tensor]) -> tuple[nn.Module, int]:
    """Return a copy of a module with as few batch normalisations as can be, and how many went; tensors [B, ...]."""
    program = copy.deepcopy(program)
    pairs = follow(program, tensors)
    names = {module: name for name, module in program.named_modules()}
    for convolution, norm in pairs:
        program.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
        program.set_submodule(names[norm], nn.Identity())
    return program, len(pairs)


@torch.inference_mode()
def follow(program: nn.Module, tensors: dict[str, Tensor]) -> list[tuple[Any, Any]]:
    """Return each convolution with the batch normalisation that reads its very output, as tensors [B, ...] go by."""
    made, found, hooks = dict[int, nn.Module](), list[tuple[Any, Any]](), list[Any]()
    kept = list[Tensor]()  # so that no other tensor gets the number of one that is gone

    def after(module: nn.Module, _: Any, output: Any) -> None:
        made[id(output)] = module
        kept.append(output)

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made:
            found.append((made[id(inputs[0])], module))

    for module in program.modules():
        if isinstance(module, CONVOLUTIONS):
            hooks.append(module.register_forward_hook(after))
        elif isinstance(module, NORMS):
            hooks.append(module.register_forward_pre_hook(before))
    program(*(tensor[:2] for tensor in tensors.values()))
    for hook in hooks:
        hook.remove()
    once = Counter(module for pair in found for module in pair)
    return [pair for pair in found if all(once[module] == 1 for module in pair)]
