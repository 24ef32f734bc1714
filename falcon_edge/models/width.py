"""The width multiplier of a network."""

from collections.abc import Sequence


def scaled(groups: Sequence[Sequence[int]], width: float) -> tuple[tuple[int, ...], ...]:
    """Channel counts times `width`, rounded to a multiple of 8 (SIMD lanes), at least 8; unchanged at 1."""
    if width == 1.0:
        return tuple(tuple(group) for group in groups)
    return tuple(tuple(max(8, 8 * round(count * width / 8)) for count in group) for group in groups)
