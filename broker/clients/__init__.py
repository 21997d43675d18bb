"""
What the broker asks of other servers: today the exchange with Package Managers.

The only package that speaks HTTP outwards. Whatever goes wrong out there is translated here, once, into the leaves of
`broker.errors`, and nothing of a request or an answer travels with them.
"""
