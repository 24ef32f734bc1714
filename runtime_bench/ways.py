"""The ways of measuring latency, by the names that results give them."""

BACK_TO_BACK, APART = "back to back", ("paced", "cold")
