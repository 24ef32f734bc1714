"""Images with their classes, as a device is asked for them."""

from falcon_edge.metrics import METRICS
from runtime_bench.bench import Evaluation
from runtime_bench.results import Quality


def by_top1(data, pixels, labels, mean, std):
    """The evaluation of images by top-1."""

    def score(answers):
        return [Quality(**vars(METRICS["top1"].quality({"logits": answers[0]}, labels)), data=data)]

    return Evaluation(data, pixels, len(labels), mean, std, ("top1",), score, only_classes=True)
