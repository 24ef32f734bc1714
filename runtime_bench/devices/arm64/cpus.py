"""The emulated CPUs: what /proc/cpuinfo and /sys/devices/system/cpu say of them, by which runtimes choose kernels."""

from dataclasses import dataclass
from pathlib import Path

from runtime_bench.errors import BenchInputError

CORES = 4
ARMV8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
ARMV8_2 = f"{ARMV8} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Cache:
    """A cache of a core, with lines of 64 bytes."""

    kib: int
    ways: int


@dataclass(frozen=True)
class Pipeline:
    """LLVM's name of the model of a core's pipeline, and the latencies of its loads, in cycles.

    Latencies are those that ramlat measured on boards, in the results of sbc-bench: of the A76 on a Raspberry Pi 5 at
    2.4 GHz (1.67, 5.0 and 139.5 ns); of the A72's caches on an RK3576 at 2.35 GHz (1.70 and 8.5 ns), and of the memory
    of a Raspberry Pi 4 (154 ns, at 1.8 GHz here). Those of the N1 AnandTech measured on a Graviton2 at 2.5 GHz (4 and
    11 cycles, 81 ns).
    """

    core: str
    l1_latency: int
    l2_latency: int
    memory_latency: int

    def waits(self, l1_misses: int, l2_misses: int) -> int:
        """Cycles of waiting if no load that misses a cache overlapped with anything."""
        return (l1_misses - l2_misses) * (self.l2_latency - self.l1_latency) + l2_misses * (
            self.memory_latency - self.l1_latency
        )


@dataclass(frozen=True)
class Cpu:
    """A CPU by its name in QEMU: its identity there (MIDR), and the caches of a common chip with four of its cores.

    Ways are those of Arm's technical reference manuals; sizes those of the chip: BCM2837, BCM2711, BCM2712, Graviton2
    (whose third cache is left out).
    pipeline: LLVM's model of it, if that has one to trust, and what its loads wait for.
    """

    name: str
    part: int
    variant: int
    revision: int
    features: str
    megahertz: int
    l1_data: Cache
    l1_instructions: Cache
    l2: Cache
    pipeline: Pipeline | None = None

    def write_overlay(self, folder: Path) -> None:
        """Write what Linux says of it below a folder, as proc/cpuinfo and sys/devices/system/cpu."""
        identity = {
            "BogoMIPS": "108.00",
            "Features": self.features,
            "CPU implementer": "0x41",
            "CPU architecture": "8",
            "CPU variant": f"{self.variant:#x}",
            "CPU part": f"{self.part:#x}",
            "CPU revision": str(self.revision),
        }
        blocks = ({"processor": str(core), **identity} for core in range(CORES))
        text = "\n".join("".join(f"{name}\t: {value}\n" for name, value in block.items()) for block in blocks)
        _write(folder / "proc/cpuinfo", text)
        every = f"0-{CORES - 1}"
        cpus = folder / "sys/devices/system/cpu"
        for name, text in (("possible", every), ("present", every), ("online", every), ("kernel_max", str(CORES - 1))):
            _write(cpus / name, text)
        for core in range(CORES):
            files = {
                "topology/physical_package_id": "0",
                "topology/core_id": str(core),
                "topology/cluster_cpus_list": every,
                "topology/package_cpus_list": every,
                "topology/core_cpus_list": str(core),
                "cpufreq/cpuinfo_min_freq": "600000",
                "cpufreq/cpuinfo_max_freq": f"{1000 * self.megahertz}",
            }
            caches = (
                (1, "Data", self.l1_data, str(core)),
                (1, "Instruction", self.l1_instructions, str(core)),
                (2, "Unified", self.l2, every),
            )
            for index, (level, kind, cache, shared) in enumerate(caches):
                files |= {
                    f"cache/index{index}/level": str(level),
                    f"cache/index{index}/type": kind,
                    f"cache/index{index}/size": f"{cache.kib}K",
                    f"cache/index{index}/ways_of_associativity": str(cache.ways),
                    f"cache/index{index}/coherency_line_size": "64",
                    f"cache/index{index}/shared_cpu_list": shared,
                }
            for name, text in files.items():
                _write(cpus / f"cpu{core}" / name, text)


CPUS = (
    Cpu(
        "cortex-a53",
        part=0xD03,
        variant=0,
        revision=4,
        features=ARMV8,
        megahertz=1400,
        l1_data=Cache(32, 4),
        l1_instructions=Cache(32, 2),
        l2=Cache(512, 16),
    ),
    Cpu(
        "cortex-a72",
        part=0xD08,
        variant=0,
        revision=3,
        features=ARMV8,
        megahertz=1800,
        l1_data=Cache(32, 2),
        l1_instructions=Cache(48, 3),
        l2=Cache(1024, 16),
        pipeline=Pipeline("cortex-a72", 4, 20, 277),
    ),
    Cpu(
        "cortex-a76",
        part=0xD0B,
        variant=4,
        revision=1,
        features=ARMV8_2,
        megahertz=2400,
        l1_data=Cache(64, 4),
        l1_instructions=Cache(64, 4),
        l2=Cache(512, 8),
        pipeline=Pipeline("neoverse-n1", 4, 12, 335),
    ),
    Cpu(
        "neoverse-n1",
        part=0xD0C,
        variant=4,
        revision=1,
        features=ARMV8_2,
        megahertz=2500,
        l1_data=Cache(64, 4),
        l1_instructions=Cache(64, 4),
        l2=Cache(1024, 8),
        pipeline=Pipeline("neoverse-n1", 4, 11, 203),
    ),
)
DEFAULT = CPUS[1]


def cpu_named(name: str) -> Cpu:
    """A CPU by its name, or by what is behind its hyphen. Raises BenchInputError."""
    for cpu in CPUS:
        if name in (cpu.name, cpu.name.partition("-")[2]):
            return cpu
    raise BenchInputError(f"{name}: no such CPU; emulated are {', '.join(cpu.name for cpu in CPUS)}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text.rstrip()}\n")
