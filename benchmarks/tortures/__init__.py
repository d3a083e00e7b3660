"""Torture a store: kills, failing writes, damage, crowds, hostile files; no image may be lost, no
answer wrong."""
