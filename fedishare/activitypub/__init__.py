"""ActivityPub: what we say to other servers, what they say to us, and how both are checked."""
