"""WebFinger and NodeInfo: how a handle becomes an actor, and how servers introduce themselves."""
