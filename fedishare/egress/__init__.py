"""Egress: the parts that only the gateway uses. Nothing else imports this package.

``wire`` (values) ← ``addresses`` (who may be reached) | ``tls`` | ``http1`` (one connection) ← ``dial`` ← ``pool``.
"""
