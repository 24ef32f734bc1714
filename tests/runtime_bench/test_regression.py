"""The gate: a regression only beyond the tolerance with the whole interval, a pass only within it."""

import numpy as np
import pytest

from runtime_bench.errors import BenchInputError
from runtime_bench.regression import Tolerances, Verdict, check, incomparable, worst
from runtime_bench.results import Agreement, Burst, Counts, Failure, Memory, Quality, summarise


@pytest.fixture
def made(entry):
    """An entry with samples of eight processes around `middle`, whose medians spread by `between`."""

    def made(middle=1e6, between=0.002, seed=0, **options):
        random = np.random.default_rng(seed)
        bursts = tuple(
            Burst(
                process=process, round=0, samples_ns=tuple(int(value) for value in shift * random.normal(1, 0.01, 50))
            )
            for process, shift in enumerate(middle * (1 + between * random.standard_normal(8)))
        )
        made = entry(**options)
        return made.model_copy(update={"bursts": bursts, "summary": summarise(bursts)})

    return made


def verdicts(findings):
    return {finding.figure: str(finding.verdict) for finding in findings}


@pytest.mark.parametrize(
    ("factor", "between", "verdict"),
    [
        (1.00, 0.002, "pass"),
        (1.02, 0.002, "pass"),
        (0.50, 0.002, "pass"),
        (1.10, 0.002, "regression"),
        (1.05, 0.010, "inconclusive"),
        (1.00, 0.200, "inconclusive"),
    ],
)
def test_latency(made, factor, between, verdict):
    (finding, *_) = check([made(factor * 1e6, between, seed=1)], [made(1e6, between)], Tolerances())
    assert (finding.figure, finding.verdict) == ("latency", verdict)
    assert finding.interval[0] <= finding.change <= finding.interval[1]


def test_latency_is_inconclusive_where_it_cannot_be_compared(made, results):
    new, old = made(2e6), made(1e6)
    (finding, *_) = check([new], [old], Tolerances(), doubt="another machine")
    assert (finding.verdict, finding.reason) == (Verdict.inconclusive, "another machine")
    emulated = new.model_copy(update={"emulated": True})
    assert check([emulated], [old], Tolerances())[0].verdict is Verdict.inconclusive
    assert incomparable(results(new), results(old)) is None
    assert "different machines" in incomparable(results(new, cpu="another CPU"), results(old))


def test_a_model_without_samples_is_inconclusive_in_latency(entry, made):
    (finding, *_) = check([entry(samples=())], [made()], Tolerances())
    assert (finding.figure, finding.verdict) == ("latency", "inconclusive")


@pytest.mark.parametrize(
    ("figure", "option", "most"), [("size", "bytes", 1050), ("macs", "macs", 1005), ("parameters", "parameters", 1005)]
)
@pytest.mark.parametrize(("more", "verdict"), [(1, "regression"), (0, "pass"), (-1000, "pass")])
def test_exact_figures(made, figure, option, most, more, verdict):
    new = most + more
    findings = check([made(**{option: new})], [made(**{option: 1000})], Tolerances(), doubt="another machine")
    assert verdicts(findings)[figure] == verdict


@pytest.mark.parametrize(
    ("operators", "verdict", "reason"),
    [
        ({"CONV_2D": 20}, "pass", None),
        ({"CONV_2D": 19, "RESHAPE": 1}, "pass", "RESHAPE 0 -> 1"),
        ({"CONV_2D": 10}, "pass", None),
        ({"CONV_2D": 20, "TRANSPOSE": 2}, "regression", "TRANSPOSE 0 -> 2"),
    ],
)
def test_operators_of_the_same_network(made, operators, verdict, reason):
    old = made(operators={"CONV_2D": 20}, parameters=7)
    new = made(operators=operators, parameters=7)
    unknown = check([made(parameters=7)], [old], Tolerances())
    assert verdicts(unknown)["operators"] == "inconclusive"
    (finding,) = [each for each in check([new], [old], Tolerances()) if each.figure == "operators"]
    assert (finding.old, finding.new, finding.verdict) == (20, sum(operators.values()), verdict)
    assert finding.reason == reason


def test_operators_of_another_network_are_no_matter(made):
    old = made(operators={"CONV_2D": 10}, macs=1000)
    new = made(operators={"CONV_2D": 20}, macs=500)
    assert "operators" not in verdicts(check([new], [old], Tolerances()))


def test_operators_of_a_graph_that_was_rewritten_otherwise_are_no_matter(made):
    old, new = made(operators={"CONV_2D": 10}), made(operators={"CONV_2D": 10, "SPACE_TO_DEPTH": 1})
    assert verdicts(check([new], [old], Tolerances()))["operators"] == "regression"
    model = new.model.model_copy(update={"rewrites": ("space-to-depth",)})
    assert "operators" not in verdicts(check([new.model_copy(update={"model": model})], [old], Tolerances()))


@pytest.fixture
def counted(made):
    """An emulated entry with so many instructions, or none where they were not counted."""

    def counted(instructions, cpu="cortex-a53"):
        none = dict.fromkeys(("loads", "stores", "bytes_loaded", "bytes_stored"), 0)
        counts = None if instructions is None else Counts(cpu=cpu, instructions=instructions, **none)
        nothing = {"emulated": True, "bursts": (), "summary": None}
        return made().model_copy(update={"counts": counts} | nothing)

    return counted


def instructions(new, old):
    findings = check([new], [old], Tolerances())
    assert "latency" not in verdicts(findings)
    (finding,) = [finding for finding in findings if finding.figure == "instructions"]
    return finding


@pytest.mark.parametrize(("new", "verdict"), [(1006, "regression"), (1004, "pass"), (500, "pass")])
def test_instructions_of_the_same_emulated_cpu(counted, new, verdict):
    assert instructions(counted(new), counted(1000)).verdict == verdict


def test_instructions_that_cannot_be_compared_are_no_pass(counted):
    for new, old, reason in (
        (counted(1000, "cortex-a72"), counted(1000), "they were counted on different CPUs (cortex-a72; cortex-a53)"),
        (counted(None), counted(1000), "they were not counted"),
        (counted(1000), counted(None), "they were not counted"),
        (counted(1000), counted(0), "none were counted of the baseline"),
    ):
        found = instructions(new, old)
        assert (found.verdict, found.reason) == (Verdict.inconclusive, reason)


def test_memory(made):
    def with_peak(peak):
        return made().model_copy(update={"memory": Memory(before_load=1, after_load=2, peak=peak)})

    assert verdicts(check([with_peak(1060)], [with_peak(1000)], Tolerances()))["memory"] == "regression"
    found = check([with_peak(1060)], [with_peak(1000)], Tolerances(), doubt="another machine")
    assert verdicts(found)["memory"] == "inconclusive"
    assert verdicts(check([with_peak(None)], [with_peak(1000)], Tolerances()))["memory"] == "inconclusive"
    assert "memory" not in verdicts(check([with_peak(1000)], [with_peak(None)], Tolerances()))


def accurate(entry, correct, samples=2000, data="data"):
    from scipy.stats import binomtest

    interval = binomtest(correct, samples).proportion_ci(0.95, method="wilson")
    ends = (interval.low, interval.high)
    found = Quality(metric="top1", value=correct / samples, interval=ends, data=data, samples=samples, unit="share")
    return entry.model_copy(update={"quality": (found,)})


@pytest.mark.parametrize(
    ("correct", "verdict"),
    [(1800, "pass"), (1900, "pass"), (1780, "pass"), (1770, "inconclusive"), (1600, "regression")],
)
def test_accuracy(made, correct, verdict):
    findings = check([accurate(made(), correct)], [accurate(made(), 1800)], Tolerances(accuracy=0.01))
    assert verdicts(findings)["top1"] == verdict


def test_accuracy_on_other_images(made):
    old = accurate(made(), 1800)
    for new in (made(), accurate(made(), 1800, data="other"), accurate(made(), 900, samples=1000)):
        assert verdicts(check([new], [old], Tolerances()))["top1"] == "inconclusive"


# -- what is compared with what --


def test_files_are_compared_with_those_of_their_kind(made):
    old = [made(1e6), made(3e6, target="tflite"), made(5e6, precision="int8")]
    findings = check([made(3e6, target="tflite"), made(1e6)], old, Tolerances(), allow_missing=True)
    assert [finding.verdict for finding in findings if finding.figure == "latency"] == ["pass", "pass"]
    with pytest.raises(BenchInputError, match="no file of the same format"):
        check([made(target="ort")], old, Tolerances())


def test_of_several_models_those_of_equal_names_are_compared(made):
    old = [made(name="large", bytes=2000), made(name="small", bytes=1000)]
    findings = check([made(name="small", bytes=1500)], old, Tolerances(), allow_missing=True)
    assert verdicts(findings)["size"] == "regression"
    with pytest.raises(BenchInputError, match=r"NEW has standard, .*, the baseline large, large\.onnx"):
        check([made(bytes=1500)], old, Tolerances())


def test_findings_say_what_was_compared_with_what_and_where(made):
    (finding, *_) = check([made(name="head", threads=2)], [made(name="base", threads=2)], Tolerances())
    assert (finding.model, finding.baseline) == ("head, head.onnx", "base, base.onnx")
    assert finding.compared == "head, head.onnx beside base, base.onnx (onnxruntime, 2 threads, local)"


def test_what_only_the_baseline_has_is_a_regression_unless_it_may_be_missing(made):
    old = [made(), made(precision="int8"), made(device="ssh://board"), made(threads=4)]
    for allowed, verdict in ((False, Verdict.regression), (True, Verdict.passed)):
        findings = check([made()], old, Tolerances(), allow_missing=allowed)
        missing = [finding for finding in findings if finding.figure == "missing"]
        assert [finding.place for finding in missing] == [
            "onnxruntime, 1 thread, local", "onnxruntime, 1 thread, ssh://board", "onnxruntime, 4 threads, local",
        ]  # fmt: skip
        assert {finding.verdict for finding in missing} == {None if allowed else Verdict.regression}
        assert worst(findings) is verdict


def test_what_only_the_new_results_have_is_named_and_changes_no_verdict(made):
    findings = check([made(), made(precision="int8", bytes=10**9)], [made()], Tolerances())
    (new,) = [finding for finding in findings if finding.figure == "new"]
    assert (new.verdict, worst(findings)) == (None, Verdict.passed)


# -- what failed --


def failing(entry, kind, signal=None):
    return entry.model_copy(update={"failure": Failure(kind=kind, message="it went wrong", signal=signal)})


OF_THE_FILE = [("wrong-outputs", None), ("runtime", None), ("memory", None), ("signal", "SIGSEGV")]
OTHERS = [
    *((kind, None) for kind in ("missing-runtime", "timeout", "connection", "device", "start", "exit", "protocol")),
    ("signal", "SIGKILL"),
    ("of a later version", None),
]


@pytest.mark.parametrize("failure", OF_THE_FILE)
def test_a_file_that_fails_is_a_regression_that_nothing_tolerates(made, failure):
    loose = Tolerances(1e9, 1e9, 1e9, 1e9, 1.0)
    new = failing(made(), *failure)
    unloaded = new.model_copy(update={"runtime": None, "summary": None, "bursts": ()})
    for bad, old in (
        (new, [made()]), (unloaded, [made()]), (new, [failing(made(), *failure)]), (new, [failing(made(), "timeout")]),
    ):  # fmt: skip
        findings = check([bad], old, loose, allow_missing=True)
        assert worst(findings) is Verdict.regression
        (found,) = [finding for finding in findings if finding.figure == "failure"]
        assert (found.verdict, found.says) == (Verdict.regression, "it failed: it went wrong")
        assert not {"latency", "missing", "new"} & set(verdicts(findings))
    beside = check([made(), failing(made(precision="int8"), *failure)], [made()], loose, allow_missing=True)
    assert worst(beside) is Verdict.regression


@pytest.mark.parametrize("failure", OTHERS)
def test_a_device_that_fails_is_no_verdict(made, failure):
    for old in (made(), failing(made(), *failure)):
        findings = check(
            [failing(made(), *failure), made(2e6, precision="int8")], [old, made(precision="int8")], Tolerances()
        )
        assert worst(findings) is None
        assert [finding.word for finding in findings if finding.figure == "failure"] == ["failed"]


@pytest.mark.parametrize("failure", [*OF_THE_FILE, *OTHERS])
def test_what_failed_in_the_baseline_is_inconclusive(made, failure):
    old = failing(made(), *failure)
    for former in (old, old.model_copy(update={"runtime": None, "summary": None, "bursts": ()})):
        findings = check([made()], [former], Tolerances())
        assert worst(findings) is Verdict.inconclusive
        assert verdicts(findings) == {"failure": "inconclusive", "size": "pass", "macs": "pass"}
        assert findings[0].says == "the baseline failed: it went wrong"


def test_golden_outputs_that_were_missed_are_a_failure_whatever_the_results_say_of_it(made):
    missed = Agreement(
        output="logits", vectors=8, max_abs=9.0, max_relative=1.0, snr_db=0.0, classes_equal=0, within_tolerance=False
    )
    findings = check([made().model_copy(update={"agreement": (missed,)})], [made()], Tolerances())
    assert worst(findings) is Verdict.regression
    assert "0 of 8 classes are the same" in findings[0].says


def test_golden_outputs_that_only_the_baseline_was_compared_with_are_no_pass(made):
    agreed = Agreement(
        output="logits", vectors=8, max_abs=0.0, max_relative=0.0, snr_db=None, classes_equal=8, within_tolerance=True
    )
    proven = made().model_copy(update={"agreement": (agreed,)})
    assert worst(check([proven], [proven], Tolerances())) is Verdict.passed
    assert worst(check([proven], [made()], Tolerances())) is Verdict.passed
    assert verdicts(check([made()], [proven], Tolerances()))["outputs"] == "inconclusive"


@pytest.mark.parametrize("figure", ["macs", "parameters"])
def test_a_figure_that_only_one_of_them_has_is_no_pass(made, figure):
    for new, old in ((None, 10), (10, 0)):
        found = check([made(**{figure: new})], [made(**{figure: old})], Tolerances())
        assert verdicts(found)[figure] == "inconclusive"
    assert figure not in verdicts(check([made(**{figure: 0})], [made(**{figure: 0})], Tolerances()))


def test_the_worst_verdict_counts(made):
    findings = check([made(2e6, bytes=10)], [made(1e6, bytes=10)], Tolerances())
    assert worst(findings) is Verdict.regression
    assert worst(findings[1:]) is Verdict.passed
    assert worst(()) is Verdict.inconclusive


def test_tolerances_in_words():
    assert (
        str(Tolerances())
        == "latency 5%, paced 5%, cold 5%, memory 5%, size 5%, counts 0.5%, accuracy 1 point, quality 2%"
    )
    assert str(Tolerances(latency=5, accuracy=0.005)).startswith("latency 500%,")


def test_tolerances_of_a_file(tmp_path):
    path = tmp_path / "tolerances.toml"
    path.write_text("latency = 0.1\naccuracy = 0.005\n")
    assert Tolerances.read(path) == Tolerances(latency=0.1, accuracy=0.005)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency = -1", "at least 0"),
        ("latency = nan", "at least 0"),
        ('latency = "5%"', "at least 0"),
        ("speed = 1", "speed has no tolerance; there are latency"),
        ("latency", "not a TOML file"),
        ("[latency]\nworse = 1", "latency is a number of at least 0, not a table"),
        ("latency = [1]", "not a list"),
        ("[latency.a]\nb = 1\n[memory]\nc = 2", "not a table"),
        ("latency" + ".a" * 900 + " = 1", "not a table"),
        ("latency = " + "[" * 9000, "not a TOML file"),
        ("latency = 1" + "0" * 400, "at least 0"),
        ("latency = 2020-01-01", "at least 0"),
    ],
)
def test_tolerances_without_a_meaning(tmp_path, text, said):
    path = tmp_path / "tolerances.toml"
    path.write_text(text)
    with pytest.raises(BenchInputError, match=said) as caught:
        Tolerances.read(path)
    assert len(str(caught.value).splitlines()) == 1
