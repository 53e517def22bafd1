"""HTTP: one registry of routes, one dispatcher. A route that does not declare who may call it cannot be written.

* `routes`: `Route` and what it declares; * `call`: one request and its answer; * `rates`: token buckets;
* `router`: the dispatcher, which enforces what routes declare before any handler runs.
"""
