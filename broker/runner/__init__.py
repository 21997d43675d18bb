"""
`broker run -- CMD`: the part that is installed on a build host.

Asks the broker for the credentials of one build, writes what package clients read into a private directory, runs the
command and leaves nothing behind. Standard library only (start-up time), no server code. Start reading at `run`.
"""
