"""
An identity federation and short-lived token broker for Posit Package Manager.

Read `domain` for what is decided, `usecases` for what happens in which order, `bootstrap` for how the parts
are put together.
"""
