"""What people and partners ask all the time is a short walk through an index, on a database that is full."""

from __future__ import annotations

import re
from typing import Any

from fedishare.model.ids import Id, iri_hash
from fedishare.store import (
    activities,
    actors,
    archives,
    cards,
    conversations,
    credentials,
    deliveries,
    filters,
    interactions,
    jobs,
    lists,
    notifications,
    pages,
    people,
    posts,
    queue,
    quotes,
    relations,
    search,
    tags,
    timelines,
    tombstones,
    trends,
)
from fedishare.store.db import Database, Sql, Tx, sql
from fedishare.store.paging import Paged

POSTS, PEOPLE, JOBS = 8_000, 400, 4_000
PUT_ACTOR = sql(
    "test_plan_actor",
    """INSERT INTO actor (id, iri, iri_hash, name, name_key, domain, host, kind, profile, inbox, url, created_at,
        fetched_at) VALUES (:id, :iri, :hash, :name, :name, :domain, :domain, 'Person', '{}', :iri, :iri, 0, 0)""",
)
PUT_POST = sql(
    "test_plan_post",
    """INSERT INTO post (id, iri, iri_hash, url, author_id, local, kind, visibility, reach, html, published, created_at,
        in_reply_to_id, thread_id, boost_of_id)
       VALUES (:id, :iri, :hash, :iri, :author, :local, 'Note', :visibility, 'local', :html, 0, 0, :answers, :thread,
        :boosts)""",
)
PUT_FOLLOW = sql(
    "test_plan_follow",
    """INSERT INTO follow (id, follower_id, followee_id, state, iri, iri_hash, created_at, follower_local)
       VALUES (:id, :follower, :followee, 1, :iri, :hash, 0, 1) ON CONFLICT DO NOTHING""",
)
PUT_HOME = sql("test_plan_home", "INSERT INTO home_entry (owner_id, post_id) VALUES (:owner, :post)")
PUT_TAG = sql("test_plan_tag", "INSERT INTO post_tag (tag, post_id) VALUES (:tag, :post)")
PUT_MENTION = sql("test_plan_mention", "INSERT INTO mention (post_id, actor_id) VALUES (:post, :actor)")
PUT_NOTE = sql(
    "test_plan_note",
    """INSERT INTO notification (id, owner_id, kind, from_id, post_id, created_at)
       VALUES (:id, :owner, 'favourite', :source, :post, 0)""",
)
PUT_LIKE = sql(
    "test_plan_like",
    "INSERT INTO interaction (post_id, actor_id, kind, id, iri) VALUES (:post, :actor, 1, :id, :iri)",
)
PUT_JOB = sql(
    "test_plan_job",
    """INSERT INTO job (id, kind, lane, host, state, payload, run_at, created_at, finished_at, document_id)
       VALUES (:id, 'deliver', :lane, :host, :state, '{}', :run_at, 0, 0, :id)""",
)
PUT_TOKEN = sql(
    "test_plan_token",
    "INSERT INTO token (id, token_hash, actor_id, scopes, created_at) VALUES (:id, :hash, :actor, 'read', 0)",
)
PUT_CREDENTIAL = sql(
    "test_plan_credential",
    "INSERT INTO credential (actor_id, rsa_private, ed25519_private) VALUES (:actor, 'x', 'x')",
)
PUT_KEY = sql(
    "test_plan_key",
    """INSERT INTO actor_key (actor_id, key_id, key_hash, kind, material, fetched_at)
       VALUES (:actor, :key, :hash, 'rsa', 'x', 0)""",
)
PUT_INBOUND = sql(
    "test_plan_inbound",
    """INSERT INTO inbound (id, iri_hash, actor_hash, type, domain, rule, revision)
       VALUES (:id, :id, :id, 'Create', 'x', 'x', 1)""",
)
PUT_CONVERSATION = sql(
    "test_plan_conversation",
    """INSERT INTO conversation (id, owner_id, thread_id, people, last_post_id, unread)
       VALUES (:id, :owner, :id, ',9,', :id, 0)""",
)
PUT_CONVERSED = sql(
    "test_plan_conversed",
    "INSERT INTO conversation_post (owner_id, post_id, conversation_id) VALUES (:owner, :id, :id)",
)
PUT_FILTER = sql(
    "test_plan_filter", "INSERT INTO filter (id, owner_id, title, context, action) VALUES (:id, :owner, 'x', 1, 0)"
)
PUT_CARD = sql(
    "test_plan_card",
    "INSERT INTO card (id, url, url_hash, found, image, fetched_at) VALUES (:id, :url, :id, 1, :url, 0)",
)
PUT_POST_CARD = sql("test_plan_post_card", "INSERT INTO post_card (post_id, card_id) VALUES (:id, :id)")
BIG = {
    "conversation", "conversation_post", "post", "home_entry", "notification", "job", "post_tag", "mention",
    "interaction", "inbound", "follow", "quote",
}  # fmt: skip
"""What grows for ever. The others are small here, and a planner may rightly read them whole."""


PUT_QUOTE = sql(
    "test_plan_quote",
    """INSERT INTO quote (post_id, quoter_id, quoted_id, quoted_iri, quoted_hash, quoted_author_id, state, approval_iri,
        approval_hash, checked_at) VALUES (:id, :quoter, :quoted, :iri, :id, :author, 1, :iri, :id, :id)""",
)


def fill(tx: Tx) -> None:
    """A house that has been used for years, in small."""
    people = list(range(1, PEOPLE + 1))
    tx.many(PUT_ACTOR, [
        {"id": n, "iri": f"https://a.example/{n}", "hash": iri_hash(f"https://a.example/{n}"), "name": f"n{n}",
         "domain": None if n < PEOPLE // 2 else f"h{n % 40}.example"} for n in people
    ])  # fmt: skip
    tx.many(PUT_KEY, [{"actor": n, "key": f"k{n}", "hash": iri_hash(f"k{n}")} for n in people])
    tx.many(PUT_TOKEN, [{"id": n, "hash": f"hash {n}", "actor": 1 + n % (PEOPLE // 2 - 2)} for n in range(1, 4_000)])
    tx.many(PUT_CREDENTIAL, [{"actor": n} for n in range(1, PEOPLE // 2)])
    rows: list[dict[str, Any]] = [
        {"id": n, "iri": f"https://p.example/{n}", "hash": iri_hash(f"https://p.example/{n}"), "author": 1 + n % PEOPLE,
         "local": n % 2, "visibility": n % 4, "html": "<p>text</p>" * 20, "answers": n - 1 if n % 10 == 0 else None,
         "thread": n - 1 if n % 10 == 0 else n, "boosts": None}
        for n in range(1, POSTS + 1)
    ]  # fmt: skip
    tx.many(PUT_POST, rows)
    boosts = [{**row, "id": row["id"] + POSTS, "iri": f"{row['iri']}/b", "hash": iri_hash(f"{row['iri']}/b"),
               "boosts": row["id"], "answers": None, "thread": None} for row in rows[::8]]  # fmt: skip
    tx.many(PUT_POST, boosts)
    tx.many(PUT_FOLLOW, [
        {"id": n * PEOPLE + m, "follower": n, "followee": 1 + (n * 7 + m) % PEOPLE, "iri": f"https://f.example/{n}/{m}",
         "hash": iri_hash(f"https://f.example/{n}/{m}")} for n in people for m in range(1, 11)
    ])  # fmt: skip
    tx.many(PUT_HOME, [{"owner": 1 + n % 4, "post": n} for n in range(1, POSTS + 1)])
    tx.many(search.PUT_POST, [{"id": n, "words": f"all w{n % 500} is:post"} for n in range(1, POSTS + 1)])
    tx.many(search.PUT_ACTOR, [{"id": n, "words": f"n{n}"} for n in people])
    tx.many(PUT_TAG, [{"tag": f"t{n % 50}", "post": n} for n in range(1, POSTS + 1, 3)])
    tx.many(PUT_CARD, [{"id": n, "url": f"https://c.example/{n}"} for n in range(1, POSTS, 2)])
    tx.many(PUT_POST_CARD, [{"id": n} for n in range(1, POSTS, 2)])
    tx.many(PUT_MENTION, [{"post": n, "actor": 1 + n % PEOPLE} for n in range(1, POSTS + 1, 2)])
    for number in range(1, POSTS, 4):
        tx.run(PUT_NOTE, id=number, owner=1 + number % 5, source=10 + number % 50, post=number)
        tx.run(PUT_LIKE, post=number, actor=1 + number % PEOPLE, id=number, iri=f"https://l.example/{number}")
    owned = [{"id": n, "owner": 1 + n % PEOPLE} for n in range(1, POSTS, 2)]
    for query in (PUT_CONVERSATION, PUT_CONVERSED, PUT_FILTER):
        tx.many(query, owned)
    tx.many(PUT_QUOTE, [
        {"id": n, "quoter": 1 + n % PEOPLE, "quoted": n - 1 if n % 4 else None, "iri": f"https://q.example/{n}",
         "author": 1 + n % 300} for n in range(2, POSTS, 2)
    ])  # fmt: skip
    for number in range(1, JOBS + 1):
        tx.run(PUT_JOB, id=number, lane=f"l{number % 300}", host=f"h{number % 40}.example",
               state=3 if number % 8 else 0, run_at=number)  # fmt: skip
        tx.run(PUT_INBOUND, id=number)


def analyze(tx: Tx) -> None:
    """Tell the planner what there is."""
    tx.ddl("ANALYZE")


PLANS: list[tuple[Sql, str]] = [
    (timelines.HOME_PAGE, "home_entry|PRIMARY KEY"),
    (timelines.HOME_PAGE_UP, "home_entry|PRIMARY KEY"),
    (timelines.LOCAL_PAGE, "post_origin"),
    (timelines.REMOTE_PAGE_UP, "post_origin"),
    (timelines.PUBLIC_PAGE, "post_public|post_origin"),
    (notifications.PAGE.down, "notification_owner"),
    (notifications.PAGE.up, "notification_owner"),
    (timelines.REVISIONS, "post_pkey|PRIMARY KEY"),
    (notifications.GROUPS.down, "notification_owner"),
    (notifications.GROUPS.up, "notification_owner"),
    (notifications.IN_GROUP.down, "notification_group|notification_owner"),
    (notifications.MEMBERS, "notification_group"),
    (notifications.RECEIVER, "actor_pkey|PRIMARY KEY"),
    (notifications.SENDER, "post_pkey|PRIMARY KEY"),
    (notifications.WAITING, "notification_filtered"),
    (conversations.OF_THREAD, "conversation_thread"),
    (conversations.PAGE.down, "conversation_last"),
    (conversations.POSTS.down, "conversation_post|PRIMARY KEY"),
    (conversations.OF_POST, "conversation_post_post"),
    (filters.OF_OWNER, "filter_owner"),
    (notifications.BELLS, "follow_followee|follow_bell"),
    (timelines.PUT_HOME, "follow_followee"),
    (timelines.DROP_AUTHOR, "home_entry|PRIMARY KEY"),
    (posts.AUTHOR_PAGE.down, "post_author"),
    (posts.AUTHOR_PAGE.up, "post_author"),
    (tags.PAGE.down, "post_tag|PRIMARY KEY"),
    (tags.FEATURED, "post_tag|PRIMARY KEY|post_author"),
    (tags.USED, "post_author"),
    (timelines.PUT_TAGGED, "follow_follower_id_followee_id_key|sqlite_autoindex_follow|follow_f"),
    (timelines.LEAVE_TAG, "post_tag|PRIMARY KEY"),
    (lists.CANDIDATES, "post_author"),
    (lists.CANDIDATES_UP, "post_author"),
    (lists.LISTED, "follow_follower_id_followee_id_key|sqlite_autoindex_follow"),
    (lists.CARRYING, "follow_follower_id_followee_id_key|sqlite_autoindex_follow"),
    (posts.BY_IRI, "post_iri"),
    (posts.ARRIVAL, "post_iri"),
    (posts.VISIBLE_IDS, "post_pkey|PRIMARY KEY"),
    (posts.ANCESTORS, "post_pkey|PRIMARY KEY"),
    (posts.DESCENDANTS, "post_reply"),
    (posts.ORPHAN, "post_reply"),
    (posts.BOOSTS_OF, "post_boost"),
    (posts.OUTBOX, "post_author"),
    (pages.OPEN_PAGE, "post_author"),
    (pages.OPEN_POST, "post_pkey|PRIMARY KEY"),
    (quotes.OF_POSTS, "quote_pkey|PRIMARY KEY"),
    (quotes.WAITING, "quote_waiting"),
    (quotes.OF_QUOTED, "quote_quoted"),
    (quotes.BY_APPROVAL, "quote_approval"),
    (quotes.BETWEEN, "quote_pair"),
    (quotes.PAGE.down, "quote_quoted"),
    (posts.MENTIONED, "mention|PRIMARY KEY"),
    (search.TAGS, "post_tag|PRIMARY KEY"),
    (search.AMONG_NEWEST, "post_words_pkey|SCAN CONSTANT ROW"),
    # PostgreSQL decides by the words, which the plan of no words does not show.
    (search.AMONG_ALL, "Scan .*on post_words|VIRTUAL TABLE INDEX [0-9]+:M0<>"),
    (search.AMONG_OWN, "post_words_pkey|VIRTUAL TABLE INDEX [0-9]+:M0<>"),
    (search.PEOPLE, "actor_words|VIRTUAL TABLE INDEX [0-9]+:M0"),
    (tombstones.GET, "tombstone|PRIMARY KEY"),
    (actors.BY_IRI, "actor_iri"),
    (actors.BY_NAME, "actor_name"),
    (actors.KEY_OWNER, "actor_key_id"),
    (relations.GET, "follow_follower_id_followee_id_key|sqlite_autoindex_follow|follow_f"),
    (relations.BY_IRI, "follow_iri"),
    (relations.FOLLOWERS_PAGE.down, "follow_followee"),
    (relations.FOLLOWING_PAGE.down, "follow_follower"),
    (relations.REMOTE_FOLLOWERS, "follow_followee"),
    (people.FAMILIAR, "follow_f"),
    (people.FRIENDS, "follow_f"),
    (people.FRIENDS_OF_FRIENDS, "follow_f"),
    (people.FOLLOWED_AT, "follow_f|sqlite_autoindex_follow"),
    (people.FOLLOWERS_FROM, "follow_f"),
    (people.DIRECTORY_NEW, "actor_discoverable|actor_pkey|PRIMARY KEY"),
    (archives.POSTS, "post_author"),
    (archives.MARKED, "interaction_actor"),
    (archives.FOLLOWING, "follow_f"),
    (interactions.FLAGS, "interaction|PRIMARY KEY"),
    (interactions.BOOSTED, "post_boost|post_author"),
    (interactions.MINE.down, "interaction_actor"),
    (interactions.ACTORS.down, "interaction|PRIMARY KEY"),
    (credentials.VIEWER, "token_token_hash_key|sqlite_autoindex_token"),
    (activities.IDEMPOTENT, "idempotency|PRIMARY KEY"),
    (deliveries.LABELS, "post_pkey|PRIMARY KEY"),
    (queue.DUE, "job_due|job_queue"),
    (queue.DUE_AT_HOST, "job_queue"),
    (queue.DUE_HOSTS, "job_queue"),
    (queue.DUE_LANES, "job_lane"),
    (jobs.CANCEL_LANE, "job_lane"),
    (queue.CLAIM, "job_pkey|PRIMARY KEY"),
    (queue.EXPIRED, "job_lease"),
    (queue.PUT_OFF, "job_queue"),
    (queue.NEXT, "job_due|job_queue"),
    (cards.OF_POSTS, "post_card_pkey|PRIMARY KEY"),
    (cards.NEWEST, "card_url"),
    (cards.SEEN_IMAGE, "card_image"),
    (trends.POSTS, "post_public|post_origin|post_pkey|PRIMARY KEY"),
    (trends.TAGS, "post_public|post_origin|post_pkey|PRIMARY KEY"),
]
_WHOLE = re.compile(r"Seq Scan on (\w+)|\bSCAN (\w+)(?! USING)")
_NAMES = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)


def walked(query: Sql, plan: list[str]) -> set[str]:
    """The big tables that a plan reads from one end to the other. SQLite names them as the query does."""
    names: dict[str, str] = {short or name: name for name, short in _NAMES.findall(query.text)}
    found = {str(m[1] or m[2]) for line in plan for m in _WHOLE.finditer(line)}
    return {names.get(name, name) for name in found} & BIG


async def test_nothing_important_reads_a_table_from_end_to_end(database: Database) -> None:
    await database.write(fill)
    await database.write(analyze)
    for query, index in PLANS:
        plan = await database.explain(query)
        text = "\n".join(plan)
        assert not walked(query, plan), f"{query.name} walks {walked(query, plan)}:\n{text}"
        assert re.search(index, text), f"{query.name} does not use {index}:\n{text}"
    # The same look at what no index helps shows that the test can see a walk.
    for text in ("SELECT html FROM post WHERE language = 'de'", "SELECT p.html FROM post p WHERE p.language = 'de'"):
        slow = Sql("slow", text)
        assert walked(slow, await database.explain(slow)) == {"post"}


async def test_pages_of_a_full_house_are_the_ones_asked_for(database: Database) -> None:
    """The plans above are of queries that give the right answer, too."""
    await database.write(fill)

    def check(tx: Tx) -> None:
        # Of every fourth post that owner 1 has at home, those that are public or theirs.
        page = timelines.home(tx, Id(1), timelines.Page(limit=5))
        assert [e.post_id for e in page] == sorted((e.post_id for e in page), reverse=True)
        assert len(page) == 5
        found = tx.one(interactions.FLAGS, viewer=2, ids=[1])
        assert found is not None

    await database.read(check)


def test_every_page_goes_both_ways() -> None:
    both = [v for module in (posts, relations, interactions) for v in vars(module).values() if isinstance(v, Paged)]
    assert len(both) >= 8
    for each in both:
        assert each.up.text == each.down.text.replace(" DESC LIMIT", " ASC LIMIT")
