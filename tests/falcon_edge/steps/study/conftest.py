"""Studies of a network that is trained in a second."""

import pytest

STUDY = """
models = ["vgg8"]
widths = [0.125]
data = "{data}"
seeds = [0]

[train]
learning_rate = 0.1
epochs = 1
batch_size = 64

[tune]
learning_rate = 0.05
epochs = [1]
batch_size = 64

[[cells]]
form = ["falcon"]
rank = [1]
init = ["svd", "random"]

[[cells]]
unit = ["dsconv"]
taught = true

[[cells]]
unit = ["shuffle"]
macs_of = "falcon-1"
"""


@pytest.fixture
def file(tmp_path, stripes):
    """The .toml of a small study."""
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(data=stripes))
    return path
