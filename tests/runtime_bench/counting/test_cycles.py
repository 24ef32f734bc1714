"""LLVM's models of cores: what is known of a few instructions, and what is left out."""

import struct

import pytest
from arm64 import require

from runtime_bench.counting.cycles import CycleModel, missing_llvm
from runtime_bench.devices.arm64.cpus import CPUS
from runtime_bench.errors import DeviceError

A72, A76 = "cortex-a72", "neoverse-n1"


@pytest.fixture(autouse=True)
def llvm():
    require(*(missing_llvm() or ()))


def add(register, source):
    """add x<register>, x<source>, #1."""
    return 0x91000400 | source << 5 | register


def fmla(register):
    """fmla v<register>.4s, v30.4s, v31.4s."""
    return 0x4E20CC00 | 31 << 16 | 30 << 5 | register


CHAIN = [add(0, 0)] * 12  # each waits for the one before
APART = [add(register, register) for register in range(12)]
UNKNOWN = 0xFFFFFFFF


def block(words, executed=1):
    return "".join(struct.pack(">I", word).hex() for word in words), executed


def cycles(core, *blocks, instructions=None):
    executed = sum(len(words) // 8 * times for words, times in blocks)
    return CycleModel(core).cycles(blocks, instructions or executed)


@pytest.mark.parametrize("core", [A72, A76])
def test_a_chain_of_additions_takes_a_cycle_each(core):
    assert cycles(core, block(CHAIN)) == pytest.approx(12, rel=0.02)


@pytest.mark.parametrize(("core", "at_once"), [(A72, 2), (A76, 3)])
def test_additions_apart_take_as_many_at_once_as_there_are_units(core, at_once):
    """Software optimization guides of both: two and three pipelines for integers."""
    assert cycles(core, block(APART)) == pytest.approx(12 / at_once, rel=0.1)


@pytest.mark.parametrize(("core", "each"), [(A72, 1.0), (A76, 0.5)])
def test_vectors_are_multiplied_by_one_unit_of_the_a72_and_two_of_the_a76(core, each):
    """Two of the A72 for 64 bits, which 128 take together."""
    words = [fmla(register) for register in range(24)]
    assert cycles(core, block(words)) == pytest.approx(24 * each, rel=0.1)


def test_blocks_count_as_often_as_they_ran():
    one, other = cycles(A72, block(CHAIN)), cycles(A72, block(APART))
    assert cycles(A72, block(CHAIN, 100), block(APART, 7)) == pytest.approx(100 * one + 7 * other)


def test_what_is_not_hot_takes_as_much_as_what_is():
    assert cycles(A72, block(CHAIN, 10), instructions=132) == pytest.approx(1.1 * cycles(A72, block(CHAIN, 10)))


def test_words_that_are_no_instruction_are_left_out():
    assert cycles(A72, block([*CHAIN, UNKNOWN])) == pytest.approx(cycles(A72, block(CHAIN)), rel=1e-6)
    assert cycles(A72, block(CHAIN), block([UNKNOWN])) == pytest.approx(13 / 12 * cycles(A72, block(CHAIN)))
    with pytest.raises(DeviceError, match="knows none of the executed instructions"):
        cycles(A72, block([UNKNOWN]))


def test_the_model_is_named_with_its_version():
    name = CycleModel(A72).name
    assert name.startswith("LLVM ")
    assert name.endswith(" cortex-a72")


def test_without_llvm_the_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_llvm() == ("llvm-mca of LLVM 17 or newer: missing", "apt-get install llvm-19")
    with pytest.raises(DeviceError, match="apt-get install llvm-19"):
        CycleModel(A72)


def test_an_llvm_that_fails_is_said(monkeypatch, tmp_path):
    for tool in ("llvm-mc-19", "llvm-mca-19"):
        path = tmp_path / tool
        path.write_text("#!/bin/sh\n[ $1 = --version ] && echo LLVM version 19.1.7 && exit\necho broken >&2; exit 1\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DeviceError, match="llvm-mc-19 fails: broken"):
        cycles(A72, block(CHAIN))


def test_waits_are_for_the_cache_or_for_memory():
    pipelines = {cpu.name: cpu.pipeline for cpu in CPUS}
    assert pipelines["cortex-a53"] is None
    for name in ("cortex-a72", "cortex-a76", "neoverse-n1"):
        found = pipelines[name]
        assert found.waits(0, 0) == 0
        assert found.waits(5, 0) == 5 * (found.l2_latency - found.l1_latency)
        assert found.waits(5, 5) == 5 * (found.memory_latency - found.l1_latency)
