"""What users hand over as a network, made an ordinary one: on the CPU, in float32, not compiled, not wrapped."""

import sys
from types import FunctionType

import torch
from torch import nn

from falcon_edge.errors import BadInput


def ordinary(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The network itself in eval mode, and what was done to it, in words. Its modules are changed in place.

    Modules that torch.compile wraps are unwrapped: what it compiles for is another machine than the one that will run
    the exported file, and neither the surgery nor the exporter sees into it. Raises BadInput for a network without
    numbers (on the meta device), or one that is a program.
    """
    done = []
    model, unwrapped = _unwrapped(model)
    if "torch._dynamo" in sys.modules:  # which torch.compile imports: functions that it decorates run as they are
        unwrapped |= _undecorated(model)
        torch.compiler.set_stance("force_eager")
    if unwrapped:
        done.append("torch.compile's or a parallel wrapper was taken off")
    if isinstance(model, torch.jit.ScriptModule):
        raise BadInput("it is a TorchScript program, which has no layers to look at; build the network itself")
    for name, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor) or value.is_quantized:
            raise BadInput(
                f"its {name} is no tensor of real numbers, as in a quantized network; hand over the float one"
            )
    tensors = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    empty = next((name for name, tensor in tensors.items() if tensor.is_meta), None)
    if empty is not None:
        raise BadInput(f"its {empty} is on the meta device, without numbers; build it on the CPU")
    kinds = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()} - {torch.float32}
    if kinds:
        words = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        done.append(f"its {words} weights were converted to float32")
    # Module.to would make real numbers of complex ones.
    model._apply(lambda tensor: tensor.to("cpu", torch.float32) if tensor.is_floating_point() else tensor.to("cpu"))
    return model.eval(), tuple(done)


def _unwrapped(model: nn.Module) -> tuple[nn.Module, bool]:
    """The network with every wrapper replaced by what it wraps, and whether there was one."""
    found = False
    while (inner := inside(model)) is not None:
        model, found = inner, True
    for module in list(model.modules()):
        if getattr(module, "_compiled_call_impl", None) is not None:  # module.compile(), which wraps nothing
            module._compiled_call_impl = None
            found = True
        for name, child in list(module.named_children()):
            while (inner := inside(child)) is not None:
                child, found = inner, True
                setattr(module, name, child)
    return model, found


def _undecorated(model: nn.Module) -> bool:
    """Put back the functions that torch.compile decorates, where the classes of the network's layers are and in these.

    The exporter refuses to trace what is decorated. Returns whether there was one.
    """
    found = False
    classes = {kind for module in model.modules() for kind in type(module).__mro__ if kind.__module__ != "builtins"}
    own = [kind for kind in classes if kind.__module__.partition(".")[0] != "torch"]
    for place in (*own, *{sys.modules[kind.__module__] for kind in own if kind.__module__ in sys.modules}):
        for name, value in list(vars(place).items()):
            inner = getattr(value, "_torchdynamo_orig_callable", None) if isinstance(value, FunctionType) else None
            if inner is not None:
                setattr(place, name, inner)
                found = True
    return found


def inside(module: nn.Module) -> nn.Module | None:
    """What a wrapper of torch.compile, or one that runs a network on several devices, wraps."""
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = module.module if isinstance(module, parallel) else getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else None
