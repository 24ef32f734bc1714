"""litert-torch: TARGET from SOURCE, the weights (.pt) of a network by NAME and RANK. Prints a measurement.

The file's input is NHWC, as ours is: without to_channel_last_io it would start with a transpose.
"""

import json
import sys

import litert_torch
from measure import measured
from networks import restored


def main(source: str, target: str, name: str, rank: str) -> None:
    network, sample = restored(name, int(rank), source)
    with measured() as found:
        turned = litert_torch.to_channel_last_io(network, args=[0]).eval()
        litert_torch.convert(turned, (sample.permute(0, 2, 3, 1).contiguous(),)).export(target)
    print(json.dumps(found))


main(*sys.argv[1:])
