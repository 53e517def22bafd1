"""The bench: a real server process, a simulated partner world, and what each operation costs.

``make bench`` runs it, ``python -m tests.bench --help`` lists what it can do. Timings never fail anything; an answer
that is wrong, or a note that does not arrive, does.
"""
