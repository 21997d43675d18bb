"""
A Package Manager to run builds against: real federation checks, real exchange, authenticated repositories, faults on
demand. It plays the other side, so it verifies with a library and with rules of its own; `app` puts it together,
`server` runs it, `federation` is where an assertion is believed or refused.
"""
