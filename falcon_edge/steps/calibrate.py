"""calibrate: files measured on a board and counted on its CPU's emulation, and what the one says of the other."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from falcon_edge.bundle import bundle_path, is_bundle, open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Protocol
from runtime_bench.calibration import FEWEST, Calibration, calibration_of
from runtime_bench.devices.arm64.cpus import CPUS, Cpu, cpu_named
from runtime_bench.devices.arm64.device import NATIVE, arm64_device
from runtime_bench.devices.device import CountingDevice
from runtime_bench.devices.local import LocalDevice
from runtime_bench.devices.ssh import SshDevice
from runtime_bench.environment import DUMP, Core, core, local_files, remote_files
from runtime_bench.errors import DeviceError
from runtime_bench.measurement import FASTEST
from runtime_bench.results import Results

ARM = 0x41
STEADY = "performance"
STEADY_SHARE = 0.01
UNSTEADY = "frequency", "throttled"  # flags of a latency: the clock was not that of the calibration
RANKS = 1, 2, 3


def calibrate(
    device: SshDevice | LocalDevice,
    paths: Sequence[Path] = (),
    *,
    cpu: str | None = None,
    mhz: float | None = None,
    protocol: Protocol | None = None,
    progress: Progress = silent,
) -> Calibration:
    """Fit the cycles of a board's fastest CPU to what its emulation counts, over bundles and files.

    The board may be this machine, if it is an arm64 one. Without paths: the network that ships with us, as it is and at
    RANKS. `cpu`: the emulated one, where the board's is none of them. `mhz`: the clock of a board that does not tell
    it, as virtual machines do not; milliseconds come out the same whatever it is. Every file runs with one thread, on
    that CPU alone. Raises BadInput for too few files or a CPU without a model of its cycles, DeviceError for a board
    that cannot be used or whose clock is not steady. The board stays open.
    """
    if paths and sum(map(_files, paths)) < FEWEST:
        raise BadInput(f"{sum(map(_files, paths))} files: a calibration takes at least {FEWEST}; export more models")
    wanted = None if cpu is None else _modelled(cpu_named(cpu))
    with ExitStack() as stack:
        number = _fastest(device)
        before = _core(device, number)
        chosen = wanted or _emulated(device, before)
        clock = _steady_mhz(device, number, before, mhz)
        emulation = stack.enter_context(closing(_counting(chosen)))
        files = paths or _shipped(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="falcon-edge-"))), progress
        )
        alone = replace(protocol or Protocol(every=0), threads=(1,), cpus=(number,))
        measured = _whole(bench(files, BenchRequest(alone), device=device, progress=progress))
        _refuse_unsteady(device, measured, before, _core(device, number))
        counted = _whole(bench(files, BenchRequest(replace(alone, cpus=FASTEST)), device=emulation, progress=progress))
    board = device.name.removeprefix("ssh://").rpartition("@")[2].rstrip("/")
    told = before.mhz is not None
    return calibration_of(measured, counted, board=board, cpu=chosen.name, mhz=clock, told=told)


def _fastest(device: SshDevice | LocalDevice) -> int:
    """The number of its fastest CPU. Raises BadInput for this machine if it is no arm64 one."""
    if isinstance(device, LocalDevice) and not NATIVE:
        raise BadInput(f"{device.name}: this machine is no arm64 one; name a board, or calibrate on one that is")
    found = device.fastest_cpus(1)
    if not found:
        raise DeviceError(f"{device.name}: its system keeps no process on one CPU")
    return found[0]


def _files(path: Path) -> int:
    return len(open_bundle(path).manifest.exports) if is_bundle(path) else 1


def _shipped(folder: Path, progress: Progress) -> list[Path]:
    """The shipped network, and it compressed, four files each."""
    standard = copy_sample_network(folder / "standard")
    compressed = {rank: bundle_path(folder / f"rank-{rank}") for rank in RANKS}
    for rank, path in compressed.items():
        compress_bundle(Choice(str(standard)), path, data=SAMPLE, rank=rank, progress=progress)
    for path in (standard, *compressed.values()):
        export_bundle(path, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(SAMPLE), progress=progress)
    return [standard, *compressed.values()]


def _counting(cpu: Cpu) -> CountingDevice:
    """A CPU, emulated. Raises DeviceError if it does not count, or its cycles are not estimated here."""
    device = arm64_device(cpu)
    assert isinstance(device, CountingDevice)
    lacking = device.lacks_cycles()
    if lacking is not None:
        raise DeviceError("; ".join(lacking))
    with device.start_counter():  # before the board takes its time
        return device


def _core(device: SshDevice | LocalDevice, number: int) -> Core:
    return core(local_files() if isinstance(device, LocalDevice) else remote_files(device.run(DUMP)), number)


def _emulated(device: SshDevice | LocalDevice, there: Core) -> Cpu:
    """The emulated CPU that the board's is. Raises BadInput if it is none with a model of its cycles."""
    for cpu in CPUS:
        if there.part == (ARM, cpu.part):
            return _modelled(cpu)
    says = "does not tell its CPU" if there.part is None else f"has the CPU {there.part[1]:#x} of {there.part[0]:#x}"
    known = ", ".join(cpu.name for cpu in CPUS if cpu.pipeline is not None)
    raise BadInput(f"{device.name} {says}; known are {known}: choose the one that is most like it with `cpu`")


def _modelled(cpu: Cpu) -> Cpu:
    """The CPU. Raises BadInput if there is no model of its cycles."""
    if cpu.pipeline is None:
        raise BadInput(f"no cycle model of {cpu.name}: that of LLVM is not to be trusted")
    return cpu


def _steady_mhz(device: SshDevice | LocalDevice, number: int, there: Core, mhz: float | None) -> float:
    """The clock of a board's CPU, or `mhz` where it does not tell it.

    Raises DeviceError if it is not fixed, or if the board runs 32-bit programs.
    """
    if isinstance(device, SshDevice) and device.call("getconf LONG_BIT").out.strip() == b"32":
        raise DeviceError(f"{device.name}: its system has 32 bits, and the emulated one 64; install a 64-bit system")
    folder = f"/sys/devices/system/cpu/cpu{number}/cpufreq"
    if there.mhz is None:
        if mhz is not None:
            return mhz
        lacks = f"does not tell its clock (there is no {folder}/scaling_cur_freq)"
        raise DeviceError(f"{device.name}: {lacks}: give the one that it is sold with, by `mhz`")
    if mhz is not None:
        raise BadInput(f"{device.name}: tells its clock, {there.mhz:.0f} MHz: leave `mhz` out")
    if there.governor != STEADY:
        remedy = f"echo {STEADY} | sudo tee {folder}/scaling_governor"
        raise DeviceError(f"{device.name}: its clock is not fixed (governor {there.governor}): run '{remedy}' there")
    return there.mhz


def _refuse_unsteady(device: SshDevice | LocalDevice, measured: Results, before: Core, after: Core) -> None:
    """Raise DeviceError if the clock changed while it was measured."""
    flags = (flag for entry in measured.entries for flag in entry.flags)
    reason = next((flag.reason for flag in flags if flag.flag in UNSTEADY), None)
    told, now = before.mhz, after.mhz or 0.0
    if reason is None and told is not None and abs(now - told) > STEADY_SHARE * told:
        reason = f"{told:.0f} MHz before and {now:.0f} MHz after the run"
    if reason is not None:
        raise DeviceError(f"{device.name}: its clock changed ({reason}): cool the board, and calibrate again")


def _whole(results: Results) -> Results:
    if results.interrupted:
        raise KeyboardInterrupt
    return results
