"""Three teams' code, each written without the others': experiments that `exchange_ideas.py` patches.

`datasets` is the one thing they share, besides Flax.
"""
