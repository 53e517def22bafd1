"""Links: the addresses of pictures as apps get them. Each leads to us, with the ticket without which we answer 404.

What partners show is never linked directly: the app would tell the partner who reads, and from where.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.media.files import digest_of
from fedishare.media.tickets import ANYBODY, Tickets
from fedishare.model.actors import Actor
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Attachment

MEDIA = "/media/"
TICKET = "?ticket="


@dataclass(frozen=True, slots=True)
class Links:
    """Makes addresses at one moment. ``mark`` stands for the ticket of a reader who is filled in later."""

    origin: str
    tickets: Tickets
    now: Millis
    reader: Id = ANYBODY
    mark: str = ""

    def ticket(self, path: str) -> str:
        """The reader's ticket for a path."""
        return self.mark or self.tickets.make(path, self.reader, self.now)

    def personal(self, path: str) -> str:
        """A path with a ticket for the reader alone."""
        return f"{self.origin}{path}{TICKET}{self.ticket(path)}"

    def shared(self, path: str) -> str:
        """A path with a ticket for everybody who is signed in: for what is part of profiles."""
        return f"{self.origin}{path}{TICKET}{self.tickets.make(path, ANYBODY, self.now)}"

    def ours(self, url: str) -> str | None:
        """The path of one of our files; None for anything else."""
        return url[len(self.origin) :] if url.startswith(self.origin + MEDIA) else None

    def of_profile(self, actor: Actor, url: str) -> str:
        """A picture or emoji of a profile."""
        ours = self.ours(url)
        if ours is None and url.startswith(self.origin + "/"):
            return url
        return self.shared(ours or f"/media/people/{actor.id}/{digest_of(url)}")

    def of_actor(self, actor_id: Id, url: str) -> str:
        """An emoji in what an actor says of itself."""
        return self._emoji(url, f"/media/people/{actor_id}/{digest_of(url)}")

    def of_post(self, post_id: Id, url: str) -> str:
        """An emoji of a post."""
        return self._emoji(url, f"/media/remote/{post_id}/{digest_of(url)}")

    def _emoji(self, url: str, elsewhere: str) -> str:
        ours = self.ours(url)
        return url if ours is None and url.startswith(self.origin + "/") else self.shared(ours or elsewhere)

    def of_attachment(self, post_id: Id, found: Attachment) -> tuple[str, str | None]:
        """The addresses of an attachment and of its preview."""
        ours = self.ours(found.url)
        if ours is not None:
            preview = self.ours(found.preview_url) if found.preview_url else None
            small = preview or (ours if found.kind == "image" else None)
            return self.personal(ours), self.personal(small) if small else None
        if found.kind == "unknown":
            return found.url, None
        path = f"/media/remote/{post_id}/{digest_of(found.url)}"
        if found.kind == "image":
            return self.personal(path), self.personal(f"{path}-small")
        if not found.preview_url:
            return self.personal(path), None
        return self.personal(path), self.personal(f"/media/remote/{post_id}/{digest_of(found.preview_url)}")
