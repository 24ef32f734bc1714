"""What figures and texts can be, of what a device says and of what results hold alike: what is taken can be kept.

Whole numbers have at most 63 bits, as programs that read JSON expect; times are nanoseconds.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

LARGEST = 2**63 - 1
MOST_CPUS = 1 << 16
LONGEST_TEXT = 10_000  # characters of a name or a reason that a device gives


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError("the lower end of the interval is above the upper one")
    return interval


Count = Annotated[int, Field(ge=0, le=LARGEST)]
Several = Annotated[int, Field(gt=0, le=LARGEST)]
Difference = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Duration = Annotated[int, Field(gt=0, le=LARGEST)]  # a clock that stands still has measured nothing
Cpu = Annotated[int, Field(ge=0, lt=MOST_CPUS)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
Ends = Annotated[tuple[float, float], AfterValidator(_ordered)]
Interval = Annotated[tuple[Amount, Amount], AfterValidator(_ordered)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
