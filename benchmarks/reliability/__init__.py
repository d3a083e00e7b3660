"""Torture a store: kills, failing writes, damage, crowds, hostile files; no image may be lost, no
answer wrong. What docs/reliability.md promises, tried at random.

The n-th call that changes a file kills a command, or fails (fault_injection.py, shim.c), in one of
hundreds of cheap children (fork_server.py); scenarios.py has the commands, trials.py what must
hold.
"""
