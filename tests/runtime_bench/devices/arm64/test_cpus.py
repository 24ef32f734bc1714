"""The emulated CPUs: what Linux says of them."""

import pytest

from runtime_bench.devices.arm64.cpus import CORES, CPUS, DEFAULT, cpu_named
from runtime_bench.errors import BenchInputError


@pytest.mark.parametrize("cpu", CPUS, ids=lambda cpu: cpu.name)
def test_the_overlay_is_that_of_a_chip_with_four_cores(cpu, tmp_path):
    cpu.write_overlay(tmp_path)
    blocks = (tmp_path / "proc/cpuinfo").read_text().strip().split("\n\n")
    assert len(blocks) == CORES == 4
    for core, block in enumerate(blocks):
        fields = dict(line.split("\t: ") for line in block.splitlines())
        assert (fields["processor"], fields["CPU implementer"]) == (str(core), "0x41")
        assert int(fields["CPU part"], 16) == cpu.part
        assert ("asimddp" in fields["Features"].split()) == (cpu.name in ("cortex-a76", "neoverse-n1"))
    cpus = tmp_path / "sys/devices/system/cpu"
    assert {(cpus / name).read_text() for name in ("possible", "present", "online")} == {"0-3\n"}
    assert len(list(cpus.glob("cpu[0-9]"))) == 4
    cache = cpus / "cpu3/cache/index2"
    assert [(cache / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")] == [
        "2",
        "Unified",
        f"{cpu.l2.kib}K",
        "0-3",
    ]


def test_caches_have_whole_sets():
    for cpu in CPUS:
        for cache in (cpu.l1_data, cpu.l1_instructions, cpu.l2):
            assert cache.kib * 1024 % (64 * cache.ways) == 0


def test_names():
    assert cpu_named("cortex-a53") is cpu_named("a53") is CPUS[0]
    assert cpu_named("neoverse-n1") is cpu_named("n1") is CPUS[-1]
    assert DEFAULT.name == "cortex-a72"
    for name in ("max", "a99", "", "cortex-", "neoverse-"):  # max computes wrong outputs: docs/arm64.md
        with pytest.raises(
            BenchInputError, match="no such CPU; emulated are cortex-a53, cortex-a72, cortex-a76, neoverse-n1"
        ):
            cpu_named(name)
