"""What is stored beside an outgoing document and each of its deliveries, so that everything can be asked again.

Between queueing and sending terms change, people unfollow, posts are deleted. So the document keeps what the guard has
to know, and the delivery whom it is for.
"""

from __future__ import annotations

import msgspec

from fedishare.model.ids import Id
from fedishare.model.posts import Reach, Visibility
from fedishare.policy.facts import DeliveryFacts

SAMPLE = 8
"""How many of the followers behind one inbox a delivery names. Whether others are left is asked when these are gone."""


class DocumentFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an activity is, for the guard; and what must still hold when it is sent."""

    activity: str
    object: str | None = None
    visibility: int | None = None
    reach: str | None = None
    media: bool = False
    public: bool = False
    """The document names ``as:Public``."""
    size: int = 0
    post: bool = False
    """The post of the document must exist, with the same labels."""
    people: bool = True
    """Somebody at the inbox must still be meant: a follower, or named, and not blocked."""
    author: bool = True
    """The author must be active."""
    synchronise: str | None = None
    """The author's name, if it goes to the followers collection: their digest goes along (FEP-8fcf)."""

    def delivery(self) -> DeliveryFacts:
        """The guard's question."""
        return DeliveryFacts(
            activity_type=self.activity,
            object_type=self.object,
            visibility=None if self.visibility is None else Visibility(self.visibility),
            reach=None if self.reach is None else Reach.decode(self.reach),
            has_media=self.media,
            public_addressed=self.public,
            size=self.size,
        )


class DeliverTo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of a ``deliver`` job: the inbox, and the local ids of those that it is for."""

    inbox: str
    named: tuple[Id, ...] = ()
    followers: tuple[Id, ...] = ()
    """Some of the followers behind the inbox."""
    more: bool = False
    """There were more of them."""
    shared: bool = False
    """It is a shared inbox."""


encode = msgspec.json.Encoder().encode
decode_facts = msgspec.json.Decoder(DocumentFacts).decode
decode_target = msgspec.json.Decoder(DeliverTo).decode
