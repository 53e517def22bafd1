"""The client API: Mastodon's paths, entities and error bodies, over the same services as everything else."""
