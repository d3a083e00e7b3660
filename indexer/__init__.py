"""Remembers: walks folders, streams pictures through the engine, keeps the store."""
