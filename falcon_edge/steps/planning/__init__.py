"""What a network would cost and lose under plans, which of them are worth making, and whether they keep what they say.

Layers are timed as small models (`units`, `timed_layers`) and added up (`predictor`) to what a budget is held against
(`budgets`); the `planner` chooses, a `trial` measures, and a `contract` goes from one to the other.
"""
