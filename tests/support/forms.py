"""Plans of FALCON alone, as most tests want them."""

from falcon_edge.falcon.forms.form import Replacement


def falcon(**ranks: int) -> dict[str, Replacement]:
    """FALCON at a rank for layers by name."""
    return {name: Replacement("falcon", (rank,)) for name, rank in ranks.items()}
