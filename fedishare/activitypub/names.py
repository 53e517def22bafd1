"""Names moved to `fedishare.model.names`, because services build IRIs too."""

from fedishare.model.names import INSTANCE_ACTOR_NAME, MAX_ID, VERBS, LocalRef, Names, RefKind, Verb

__all__ = ["INSTANCE_ACTOR_NAME", "MAX_ID", "VERBS", "LocalRef", "Names", "RefKind", "Verb"]
