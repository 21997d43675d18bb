"""
The machine's time and randomness, as adapters.

Nothing else in the broker asks the machine for either; tests hand in a clock and ids of their own.
"""
