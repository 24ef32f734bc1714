"""Runs on the device: loads one model file and measures it. Standard library, numpy and the runtime's file only.

    python worker.py        (Python >= 3.8; "emulated" behind it where QEMU runs this Python, "remote" where only its
                            input tells that nobody is left)

JSON lines: a request on stdin, its reply on stdout; {"error": ...} where it failed. Requests, by "do":
  load      path, runtime, threads, cpus, memory_limit,   the file is loaded and run once
            signed, driver                                (signed: the runtime may multiply int8 by int8 on x86; driver:
                                                          the runtime's file, by default runtimes/RUNTIME.py beside)
  warm_up   runs, seconds, until                          at least so many runs and seconds; with until, on until it
                                                          is stable, at most so many seconds
  measure   runs, every_ms, turn, turns, cold             durations of so many runs, in ns, and the energy that the
                                                          CPUs took meanwhile, in joules, where a counter tells.
                                                          By default back to back. every_ms: paced, each at the tick
                                                          `turn` of every `turns` ticks (see `paced`); tells how many
                                                          ticks were missed, and the clock of the CPU. cold: each with
                                                          emptied caches; tells how many bytes were written for that
  profile   runs, folder, cold, every_ms                  what the runtime itself tells of its operators
  invoke    runs, cold, every_ms                          as measure, the runtime alone: no input set, no output read
  bandwidth size, times                                   the fastest of so many copies of so many bytes, in ns
  count                                                   one run between two marks, for an emulator that counts
  evaluate  pixels, mean, std, start, stop,               these images of a .npy file, uint8 (N, H, W, C), or float32
            outputs, reduction                            (N, C, H, W), which are prepared already; writes a file of
                                                          what is made of their outputs, one after the other
                                                          (reduction: none, half for float16, classes: see `reduced`)
  replay    inputs, outputs                               runs files of float32 NCHW; writes for each a file of all
                                                          its outputs, one after the other, as they come
  memory                                                  resident set and its peak, in bytes
  quit
Any of them may say cpu_seconds: what it may take of the CPUs before the kernel ends this process.
A sample is the time of one inference with its input set and its output read, by the monotonic clock.
"""

import ctypes
import gc
import glob
import json
import os
import select
import signal
import sys
import threading
import time
import types
from typing import Any

try:
    import resource
except ImportError:  # Windows, where this file is read and never run
    resource = None  # type: ignore[assignment]

FIRST_INPUT_SEED = 0
STABLE_SHARE = 0.05
PR_SET_PDEATHSIG = 1
POWERCAP = "/sys/class/powercap"
CACHES = "/sys/devices/system/cpu/cpu0/cache/index*/size"
CLOCK = "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq"
CLOCK_TICKS, CLOCK_EARLY = 3, 5_000_000  # nanoseconds before a tick
# What is written to empty the caches: so many times the largest of them, at least so much, or where none is known.
CACHES_OVER, LEAST_WRITTEN, USUALLY_WRITTEN = 4, 8 << 20, 96 << 20
LARGEST_FILE = 256 << 20  # bytes that a worker may write to one, its stderr too
REQUESTS = ("load", "warm_up", "measure", "evaluate", "replay", "memory", "profile", "invoke", "bandwidth", "count")
# What the runtimes say where memory ran out.
OUT_OF_MEMORY = ("bad_alloc", "allocate memory")
HERE = os.path.dirname(os.path.abspath(__file__))
EMULATED = "emulated" in sys.argv[1:]
# getpriority(MARK, START or STOP) fails and changes nothing; the plugin that counts sees it (counting/plugin.c).
MARK, START, STOP = 0xFA1C, 1, 2


class Worker:
    """Answers requests about one loaded file."""

    def __init__(self):
        self.model: Any = None
        self.input: Any = None
        self.cpus: Any = None

    def load(self, path, runtime, threads, cpus=None, memory_limit=None, signed=False, driver=None):
        """Load a file and run it once on seeded noise."""
        if driver is None:
            driver = os.path.join(HERE, "runtimes", f"{runtime}.py")
            if not (runtime.isidentifier() and os.path.isfile(driver)):
                raise ValueError(f"no such runtime: {runtime}")
        self.cpus = cpus
        if cpus:
            pin(cpus)  # first: libraries count CPUs when they are imported, and start threads
        import numpy

        bare = memory()["resident"]
        model: Any = session_of(driver)()  # before the limit and the clock: both are for the file alone
        limit_memory(memory_limit)
        before = memory()["resident"]
        started = time.perf_counter_ns()
        model.load(path, threads, signed)
        loaded = time.perf_counter_ns()
        self.model = model
        after = memory()["resident"]
        random = numpy.random.RandomState(FIRST_INPUT_SEED)
        if self.model.dtype == "float32":
            self.input = random.standard_normal(self.model.shape).astype("float32")
        else:
            limits = numpy.iinfo(self.model.dtype)
            self.input = random.randint(limits.min, limits.max + 1, self.model.shape).astype(self.model.dtype)
        started_first = time.perf_counter_ns()
        outputs = self.model.run(self.input)
        first = time.perf_counter_ns() - started_first
        affinity = own_cpus()
        return {
            "runtime": self.model.about,
            "load_ns": loaded - started,
            "first_inference_ns": first,
            "input": {"shape": self.model.shape, "dtype": self.model.dtype, "layout": self.model.layout},
            "outputs": [{"shape": list(output.shape), "dtype": str(output.dtype)} for output in outputs],
            "memory_bare": bare,
            "memory_before_load": before,
            "memory_after_load": after,
            "cpus": affinity,
            "numpy": numpy.__version__,
            "python": sys.version.split()[0],
        }

    def warm_up(self, runs, seconds, until=None):
        """Run until both bounds are reached, and then until the latency is stable, for at most `until` seconds."""
        clock = time.perf_counter
        samples: Any = []
        started = now = clock()
        while True:
            passed = now - started
            enough = len(samples) >= runs and passed >= seconds
            if enough and (until is None or passed >= until or stable(samples)):
                return {"runs": len(samples), "stable": stable(samples)}
            self.model.run(self.input)
            before, now = now, clock()
            samples.append(now - before)

    def measure(self, runs, every_ms=None, turn=0, turns=1, cold=False):
        """Durations of `runs` inferences: back to back, paced, or cold."""
        if every_ms is not None:
            return self.paced(runs, round(every_ms * 1e6), turn, turns)
        if cold:
            return self.cold(runs)
        run, value, clock, samples = self.model.run, self.input, time.perf_counter_ns, []
        before = energy()
        for _ in range(runs):
            started = clock()
            run(value)
            samples.append(clock() - started)
        return {"samples_ns": samples, "energy_j": joules(before, energy())}

    def paced(self, runs, every, turn, turns):
        """Durations of inferences at ticks: this process sleeps until each, as an app waits for its camera's frame.

        Ticks come every so many nanoseconds of the monotonic clock, which all processes of a device share, so that
        several of them take turns without a word to each other. A tick is missed where an inference lasts beyond it.
        """
        run, value, clock, samples, missed = self.model.run, self.input, time.perf_counter_ns, [], 0
        for tick in ticks(every * turns, every * turn, runs):
            started = clock()
            run(value)
            samples.append(clock() - started)
            missed += max(0, time.monotonic_ns() - tick) // every
        return {"samples_ns": samples, "missed": missed, "mhz": self.clock(every * turns, every * turn)}

    def clock(self, period, phase):
        """MHz of the CPU before, at and after ticks, which are no samples: to ask the kernel warms caches up."""
        path = CLOCK % current_cpu()
        found: Any = [[], [], []]
        early = min(CLOCK_EARLY, period // 2)
        try:
            for _ in ticks(period, phase - early, CLOCK_TICKS):
                before = contents(path)
                time.sleep(early / 1e9)
                at = contents(path)
                self.model.run(self.input)
                for moment, khz in zip(found, (before, at, contents(path))):
                    moment.append(int(khz) / 1000)
        except (OSError, ValueError):  # it has no clock that it tells of
            return None
        return [sorted(moment)[CLOCK_TICKS // 2] for moment in found]

    def cold(self, runs):
        """Durations of inferences with emptied caches."""
        run, value, clock, samples = self.model.run, self.input, time.perf_counter_ns, []
        for _ in self.moments(runs, True):
            started = clock()
            run(value)
            samples.append(clock() - started)
        return {"samples_ns": samples, "flushed": flushing_bytes()}

    def moments(self, runs, cold=False, every_ms=0):
        """So many moments: in a row, cold (the caches are emptied before each), or every so many milliseconds.

        To empty them a buffer that they have no room beside is read and written, by each of the CPUs that this process
        was put on: to set all of it to one value may go past the caches.
        """
        if not cold:
            yield from ticks(max(1, round(every_ms * 1e6)), 0, runs) if every_ms else range(runs)
            return
        import numpy

        # Its pages come here: what the kernel does for new ones would make the first inference 15 us longer.
        buffer, cpus = numpy.ones(flushing_bytes() // 8, "uint64"), self.cpus or ()
        for moment in range(runs):
            numpy.add(buffer, 1, out=buffer)
            for cpu in cpus if len(cpus) > 1 else ():
                os.sched_setaffinity(0, [cpu])  # of this thread alone
                numpy.add(buffer, 1, out=buffer)
            if len(cpus) > 1:
                os.sched_setaffinity(0, cpus)
            yield moment

    def count(self):
        """One run between two marks, in which Python does not collect its garbage."""
        run, value, mark = self.model.run, self.input, ctypes.CDLL(None).getpriority
        gc.collect()
        gc.disable()
        mark(MARK, START)
        run(value)
        mark(MARK, STOP)
        gc.enable()
        return {}

    def invoke(self, runs, cold=False, every_ms=0):
        """Durations of `runs` inferences by the runtime alone: no input is set and no output read."""
        run, clock, samples = self.model.invoke, time.perf_counter_ns, []
        for _ in self.moments(runs, cold, every_ms):
            started = clock()
            run()
            samples.append(clock() - started)
        return {"samples_ns": samples}

    def profile(self, runs, folder, cold=False, every_ms=0):
        """What the runtime itself tells of the operators."""
        return self.model.profile(self.input, self.moments(runs, cold, every_ms), folder)

    def bandwidth(self, size, times):
        """The fastest of several copies of so many bytes, each read once and written once, in nanoseconds."""
        import numpy

        source, target = numpy.ones(size, "uint8"), numpy.zeros(size, "uint8")
        durations = []
        for _ in range(times):
            started = time.perf_counter_ns()
            numpy.copyto(target, source)
            durations.append(time.perf_counter_ns() - started)
        return {"ns": min(durations)}

    def evaluate(self, pixels, mean, std, start, stop, outputs, reduction="none"):
        """Outputs of images [start, stop), one at a time."""
        import numpy

        images = numpy.load(pixels, allow_pickle=False, mmap_mode="r")[start:stop]
        with open(outputs, "wb") as file:
            for image in images:
                found = self.model.run(self.network_input(normalised(image, mean, std)))
                for output in reduced(found, reduction, self.model.layout):
                    file.write(output.tobytes())
        return {"images": len(images)}

    def replay(self, inputs, outputs):
        """Outputs of input files, as they come."""
        import numpy

        shape = self.model.shape
        if self.model.layout == "NHWC":
            shape = [shape[0], shape[3], shape[1], shape[2]]
        for source, target in zip(inputs, outputs):
            x = numpy.fromfile(source, "<f4").reshape(shape)
            found = self.model.run(self.network_input(x))
            with open(target, "wb") as file:  # NumPy's tofile keeps to itself that the end could not be written
                for output in found:
                    file.write(output.tobytes())
        return {"vectors": len(inputs)}

    def network_input(self, x):
        """float32 (1, C, H, W) in the layout and type of the file's input."""
        import numpy

        if self.model.layout == "NHWC":
            x = x.transpose(0, 2, 3, 1)
        if self.model.dtype != "float32":
            if self.model.quantization is None:
                raise ValueError(f"the file's input is {self.model.dtype} without a scale")
            scale, zero_point = self.model.quantization
            limits = numpy.iinfo(self.model.dtype)
            x = numpy.rint(x / numpy.float32(scale)) + zero_point
            x = numpy.clip(x, limits.min, limits.max).astype(self.model.dtype)
        return numpy.ascontiguousarray(x)

    def memory(self):
        """See memory() below."""
        return memory()


def ticks(period, phase, count):
    """So many moments of the monotonic clock, in ns, each once it has come; those that have passed are left out."""
    tick = time.monotonic_ns()
    tick += (phase - tick) % period
    for _ in range(count):
        while True:
            left = tick - time.monotonic_ns()
            if left <= 0:
                break
            time.sleep(left / 1e9)
        yield tick
        tick += max(1, -((tick - time.monotonic_ns()) // period)) * period


def flushing_bytes():
    """Bytes that are more than the caches of a CPU hold."""
    units = {"K": 1 << 10, "M": 1 << 20}
    sizes = []
    for path in glob.glob(CACHES):
        text = contents(path)
        if text[:-1].isdigit() and text[-1] in units:
            sizes.append(int(text[:-1]) * units[text[-1]])
    return max(CACHES_OVER * max(sizes), LEAST_WRITTEN) // 8 * 8 if sizes else USUALLY_WRITTEN


def session_of(driver):
    """What a runtime's file has under the name of Session; nothing is left beside it."""
    module: Any = types.ModuleType("driver")
    with open(driver) as file:
        exec(compile(file.read(), driver, "exec"), module.__dict__)
    return module.Session


def reduced(outputs, reduction, layout):
    """What is told of outputs: all of them, floats as float16 where they are to be halved, or classes of the first.

    A class is the highest of a row or, at each place, of a map; in the smallest of uint8, uint16 and int32.
    """
    import numpy

    if reduction == "none":
        return outputs
    if reduction == "half":
        return [output.astype("float16") if output.dtype.kind == "f" else output for output in outputs]
    if reduction != "classes":
        raise ValueError(f"no such reduction: {reduction}")
    first = outputs[0]
    axis = first.ndim - 1 if first.ndim == 4 and layout == "NHWC" else min(1, max(first.ndim - 1, 0))
    count = first.shape[axis] if first.ndim else 1
    kind = "uint8" if count <= 1 << 8 else "uint16" if count <= 1 << 16 else "int32"
    return [numpy.argmax(first.reshape(first.shape or 1), axis).astype(kind)]


def stable(samples):
    """Whether the median of the last quarter of the samples is within 5% of that of the quarter before."""
    quarter = max(len(samples) // 4, 3)
    if len(samples) < 2 * quarter:
        return False
    last, before = (sorted(part)[quarter // 2] for part in (samples[-quarter:], samples[-2 * quarter : -quarter]))
    return abs(last - before) <= STABLE_SHARE * before


def normalised(image, mean, std):
    """float32 (1, C, H, W) of uint8 (H, W, C): one rounding to float32 an operation (docs/formats.md).

    float32 (C, H, W), which is prepared already, as it is.
    """
    import numpy

    if image.dtype == numpy.float32:
        return image[None]
    x = image.astype("float32") / numpy.float32(255)
    x = x - numpy.asarray(mean, "float32")
    x = x / numpy.asarray(std, "float32")
    return x[None].transpose(0, 3, 1, 2)


def contents(path):
    """The text of a file."""
    with open(path) as file:
        return file.read().strip()


# What only some systems give. Where one lacks it, it is None or nothing, and no error: but for the CPUs to run on.


def memory():
    """Resident set and its peak in bytes; of the first, elsewhere than on Linux, what `ps` says."""
    if EMULATED:
        return {"resident": emulated_resident(), "peak": None}
    try:
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return {key: int(lines[name].split()[0]) * 1024 for key, name in (("resident", "VmRSS"), ("peak", "VmHWM"))}
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return {"resident": told_resident(), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale}


def told_resident():
    """Bytes that are resident of this process by the system's `ps`; None where that does not tell."""
    import subprocess

    try:
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(os.getpid())])) * 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def emulated_resident():
    """Bytes that are resident of what this program has mapped; the rest of the process is the emulator."""
    with open("/proc/self/maps") as file:  # QEMU answers
        mapped = [[int(end, 16) for end in line.split()[0].split("-")] for line in file]
    resident, ours = 0, False
    with open("/proc/thread-self/smaps") as file:  # the host's kernel answers
        for first, *rest in map(str.split, file):
            if not first.endswith(":"):
                start, stop = (int(end, 16) for end in first.split("-"))
                ours = any(start < other_stop and other_start < stop for other_start, other_stop in mapped)
            elif first == "Rss:" and ours:
                resident += int(rest[0]) * 1024
    return resident


def energy():
    """By CPU package the microjoules that it has taken so far, and at how many its counter begins anew.

    Empty without such counters (Linux, powercap), and where they may not be read: most systems let only root.
    """
    found = {}
    for zone in sorted(glob.glob(POWERCAP + "/intel-rapl:*")):  # AMD's have this name, too
        try:
            if contents(zone + "/name").startswith("package"):
                found[zone] = tuple(int(contents(zone + name)) for name in ("/energy_uj", "/max_energy_range_uj"))
        except (OSError, ValueError):
            return {}
    return found


def joules(before, after):
    """What all packages took between two calls of energy(); None if it is not known."""
    if not before or before.keys() != after.keys():
        return None
    spent = 0
    for zone, (now, most) in after.items():
        then = before[zone][0]
        spent += now - then if now >= then else now - then + most
    return spent / 1e6


def current_cpu():
    """The number of the CPU that this thread is on; -1 where none is told (elsewhere than on Linux)."""
    return ctypes.CDLL(None).sched_getcpu() if sys.platform == "linux" else -1


def own_cpus():
    """The CPUs that this process may run on; none where its system puts no process on any (macOS)."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(cpus):
    """Run on these CPUs only."""
    if not hasattr(os, "sched_setaffinity"):
        raise OSError("this system puts no process on CPUs of its own: leave `cpus` out")
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        raise OSError(f"cannot run on CPUs {', '.join(map(str, cpus))}: {error.strerror}") from error
    missing = sorted(set(cpus) - os.sched_getaffinity(0))
    if missing:
        raise OSError(f"cannot run on CPUs {', '.join(map(str, missing))}: not given to this process")


def limit_memory(limit):
    """Limit the address space of this process, in bytes; None: to what `usual_memory` says.

    macOS refuses that: there whoever started this process looks after its resident set.
    """
    if limit is None:
        limit = usual_memory()
    if limit is not None:
        set_limit(resource.RLIMIT_AS, limit, limit)


def usual_memory(process="self"):
    """Three quarters of this device's memory beside what a process has mapped already (Linux), in bytes."""
    try:
        with open(f"/proc/{process}/statm") as file:
            mapped = int(file.read().split()[0])
        return (mapped + os.sysconf("SC_PHYS_PAGES") * 3 // 4) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def limit_cpu(seconds):
    """End this process once it has taken so many more seconds of the CPUs: also where nobody is left to stop it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    set_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + min(seconds, 1e9)) + 1, resource.RLIM_INFINITY)


def set_limit(kind, soft, hard):
    """Set a limit of this process, within the one that is set already; elsewhere than on Linux, if that is possible."""
    most, free = resource.getrlimit(kind)[1], resource.RLIM_INFINITY
    soft, hard = (value if most == free else most if value == free else min(value, most) for value in (soft, hard))
    try:
        resource.setrlimit(kind, (soft, hard))
    except (OSError, ValueError):  # macOS refuses RLIMIT_AS: Python says "current limit exceeds maximum limit"
        if sys.platform == "linux":
            raise


def die_with_parent():
    """Have the kernel (Linux) kill this process, even in the middle of a run, if its parent dies without a word."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def die_with_input():
    """Kill this process, even in the middle of a run, when its input has ended: a thread that sleeps until then."""
    ended = select.poll()
    ended.register(0, select.POLLHUP | getattr(select, "POLLRDHUP", 0))

    def watch():
        while not ended.poll():  # macOS may wake it for a request
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main():
    """Answer requests until the input ends."""
    if sys.platform == "linux":
        die_with_parent()
    if sys.platform != "linux" or "remote" in sys.argv[1:]:
        die_with_input()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a runtime that crashes leaves nothing behind
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing too much is an error, not the end
    set_limit(resource.RLIMIT_FSIZE, LARGEST_FILE, LARGEST_FILE)
    # What native libraries print must not get between the replies: stdout becomes stderr for all but these.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        try:
            request = json.loads(line)
            action, seconds = request.pop("do"), request.pop("cpu_seconds", None)
            if action == "quit":
                break
            if action not in REQUESTS:
                raise ValueError(f"no such request: {action}")
            if worker.model is None and action not in ("load", "memory"):
                raise ValueError("no file is loaded")
            if seconds is not None:
                limit_cpu(seconds)
            reply = getattr(worker, action)(**request)
        except MemoryError:
            reply = {"error": "out of memory", "kind": "memory"}
        except Exception as error:  # a runtime raises what it likes; the parent gets it as one line
            text = " ".join(str(error).split()) or type(error).__name__
            kind = "missing-runtime" if isinstance(error, ImportError) else "runtime"
            reply = {"error": text[:500], "kind": "memory" if any(word in text for word in OUT_OF_MEMORY) else kind}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # What lies beside this file must not pass for a module that a runtime imports.
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != HERE]
    main()
