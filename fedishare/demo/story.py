"""The story: what happens at clinic, lab and stranger. Each claim is looked up at the servers before it is printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fedishare.demo.people import Json, Person, figures, unsigned_get
from fedishare.demo.screen import NotSo, Screen, same, want
from fedishare.demo.world import Instance, World

NOWHERE = "/users/nobody_of_that_name"
OWN = ("/api/", "/metrics", "/health")
"""What the demo itself asks of the servers."""


@dataclass
class Story:
    """The scenes, in order; each uses what those before it left."""

    world: World
    screen: Screen
    posts: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clinic, lab, stranger = (instance.people for instance in self.world.all)
        self.ana, self.ben, self.eva = clinic["ana"], clinic["ben"], clinic["eva"]
        self.lin, self.max = lab["lin"], lab["max"]
        self.ivan = stranger["ivan"]

    def tell(self) -> None:
        """All of it."""
        self.arrive()
        self.meet()
        self.talk()
        self.keep_inside()
        self.change()
        self.refuse()
        self.stop_and_go()
        self.sum_up()

    def arrive(self) -> None:
        """Three servers, and who lists whom."""
        self.screen.title("Three organizations, three servers")
        world = self.world
        for instance, what, partners in (
            (world.clinic, "lists the lab, and nobody else", [world.lab]),
            (world.lab, "lists the clinic, and nobody else", [world.clinic]),
            (world.stranger, "lists both of them, but neither lists it", [world.clinic, world.lab]),
        ):
            self.screen.check(f"{instance.place.domain} is up and {what}", partial(self._lists, instance, partners))
        self.screen.check(
            "Ana signs in from her app with name and password, and a wrong password is no way in", self._signs_in
        )

    def _signs_in(self) -> None:
        same(self.ana.sign_in(self.ana.password)["username"], self.ana.name)
        try:
            self.ana.sign_in(self.ana.password + "x")
        except NotSo:
            return
        raise NotSo("a wrong password was taken")

    def _lists(self, instance: Instance, partners: list[Instance]) -> None:
        person = next(iter(instance.people.values()))
        same(person.ask("/api/v1/accounts/verify_credentials")["username"], person.name)
        found = {
            entry["domain"] for entry in instance.command("partner", "list", "--json") if entry["state"] == "active"
        }
        same(found, {partner.place.domain for partner in partners})

    def meet(self) -> None:
        """Finding and following across the border."""
        screen, ana, lin = self.screen, self.ana, self.lin
        screen.title("Finding and following colleagues next door")
        screen.check(f"Ana looks {lin.handle} up and finds her", lambda: same(ana.find(lin.handle)["acct"], lin.acct))
        for who, whom in ((ana, lin), (self.eva, lin), (lin, ana), (self.max, ana), (lin, self.ben)):
            screen.check(
                f"{who.name.title()} ({_org(who)}) follows {whom.name.title()} ({_org(whom)}), whose server accepts",
                partial(self._follow, who, whom),
            )
        screen.check("Lin is told that Ana follows her", lambda: lin.told("follow", ana))

    def _follow(self, who: Person, whom: Person) -> None:
        account = who.find(whom.handle)
        relation = who.relation(account)
        if not relation["following"] and not relation["requested"]:
            who.do(f"/api/v1/accounts/{account['id']}/follow")
        want(who.relation(account)["following"], "the follow has not been accepted yet")

    def talk(self) -> None:
        """A question crosses the border, and answers come back."""
        screen, ana, lin = self.screen, self.ana, self.lin
        screen.title("Ana sees something on an x-ray that she has never seen")
        text = "A ring-shaped shadow behind the heart, three patients this month. Has anybody seen this? #thorax"
        screen.quote("Ana writes", text)
        screen.check(
            "Before she sends it, she is shown who will get it: 2 people at the lab, everybody at the clinic",
            lambda: self._preview(text),
        )
        post = screen.check("She sends it to all partners", lambda: ana.write(text, reach="partners"))
        if post is None:
            return
        self.posts["question"] = post
        for reader in (lin, self.max):
            screen.check(
                f"It is in {reader.name.title()}'s home timeline at the lab",
                partial(self._has, reader, post, ana),
            )
        screen.check(
            "The clinic's ledger has one delivery for the lab, done, and nothing else", lambda: self._delivered(post)
        )
        answer = "Yes! Four cases here since June, all from the same device. Shall we compare?"
        screen.quote("Lin answers", answer)
        self.posts["answer"] = self._answer(lin, post, f"{ana.handle} {answer}")
        screen.check("Ana is told, and reads the answer", lambda: self._reads(ana, post, "Four cases here"))
        screen.check("Max likes the question: Ana sees 1 like, by Max", lambda: self._like(post))
        screen.check("Lin boosts it: Ana is told", lambda: self._boost(post))
        screen.check(
            "Eva, at the clinic, sees Lin's boost in her home timeline",
            partial(self._has, self.eva, post, lin),
        )

    def _has(self, reader: Person, post: Json, by: Person) -> None:
        same(reader.at_home(post["uri"])["account"]["acct"], by.acct)

    def _preview(self, text: str) -> None:
        seen = self.ana.do("/api/v1/fedishare/audience", status=text, reach="partners")
        found = [(p["domain"], p["people"], p["allowed"]) for p in seen["partners"]]
        same(found, [(self.world.lab.place.domain, 2, True)])
        want(seen["everybody_here"], "not everybody at the clinic")

    def _delivered(self, post: Json) -> None:
        rows = self.world.clinic.command("deliveries", post["id"], "--json")["deliveries"]
        same([(row["host"], row["state"]) for row in rows], [(self.world.lab.place.domain, "done")])

    def _answer(self, who: Person, post: Json, text: str) -> Json:
        made = self.screen.check(
            "Her answer goes to the clinic and nowhere else",
            lambda: self._sent(who.write(text, in_reply_to_id=who.at_home(post["uri"])["id"], reach="partners"), post),
            "an answer never reaches further than what it answers",
        )
        return made or {}

    def _sent(self, made: Json, post: Json) -> Json:
        same(made["reach"], [self.world.clinic.place.domain])
        return made

    def _reads(self, who: Person, post: Json, part: str) -> None:
        who.told("mention", self.lin)
        below = who.ask(f"/api/v1/statuses/{post['id']}/context")["descendants"]
        want([s for s in below if part in s["content"]], "the answer is not below the question")

    def _like(self, post: Json) -> None:
        self.max.do(f"/api/v1/statuses/{self.max.at_home(post['uri'])['id']}/favourite")
        self.ana.told("favourite", self.max)
        same(self.ana.seen(post["id"])["favourites_count"], 1)

    def _boost(self, post: Json) -> None:
        self.lin.do(f"/api/v1/statuses/{self.lin.at_home(post['uri'])['id']}/reblog")
        self.ana.told("reblog", self.lin)
        same(self.ana.seen(post["id"])["reblogs_count"], 1)

    def keep_inside(self) -> None:
        """What is local stays; what is for partners does not name the whole internet."""
        screen, lin = self.screen, self.lin
        screen.title("What stays inside")
        text = "The audit team is here on Friday. Please tidy room 4."
        screen.quote("Ben writes", text)
        inside = screen.check(
            "He says nothing about how far it goes, so it is for the clinic alone", lambda: self._local(text)
        )
        after = screen.check(
            "A later post of his, for partners, has arrived at the lab",
            lambda: self._later(),
            "so the first had its time",
        )
        if inside is None or after is None:
            return
        screen.check("Lin, who follows Ben, has not got the first one", lambda: self._missing(inside))
        screen.check("Eva, at the clinic, has it in front of her", lambda: self._on_board(inside))
        screen.check(
            "Lin has its address and asks for it: it does not exist for her",
            lambda: same(lin.ask("/api/v2/search", q=inside["uri"], resolve="true")["statuses"], []),
        )
        screen.check(
            "The clinic's ledger has no delivery of it",
            lambda: same(self.world.clinic.command("deliveries", inside["id"], "--json")["deliveries"], []),
        )
        screen.check(
            "Ana's question is public at the lab, Lin's answer is for followers at the clinic: terms differ",
            self._labels,
        )

    def _local(self, text: str) -> Json:
        made = self.ben.write(text)
        same((made["reach"], made["local_only"]), ("local", True))
        return made

    def _later(self) -> Json:
        made = self.ben.write("Good morning to the lab!", reach="partners")
        self.lin.at_home(made["uri"])
        return made

    def _missing(self, post: Json) -> None:
        home = self.lin.ask("/api/v1/timelines/home", limit=40)
        same([s["uri"] for s in home if s["uri"] == post["uri"] or "audit team" in s["content"]], [])

    def _on_board(self, post: Json) -> None:
        board = self.eva.ask("/api/v1/timelines/public", local="true", limit=40)
        want([s for s in board if s["uri"] == post["uri"]], "it is not on the local timeline")

    def _labels(self) -> None:
        question, answer = self.posts["question"], self.posts["answer"]
        same(self.lin.at_home(question["uri"])["visibility"], "public")
        below = self.ana.ask(f"/api/v1/statuses/{question['id']}/context")["descendants"]
        same([s["visibility"] for s in below if s["uri"] == answer["uri"]], ["private"])

    def change(self) -> None:
        """Edits and deletions follow."""
        screen, lin = self.screen, self.lin
        screen.title("Second thoughts travel, too")
        question = self.posts.get("question")
        if question is not None:
            screen.check("Ana corrects her question: three patients were five", lambda: self._edit(question))
            screen.check(
                "At the lab it says five, and that it was edited",
                lambda: self._edited(lin.at_home(question["uri"])),
            )
        slip = screen.check("Ana posts something that she regrets", lambda: self._slip())
        if slip is None:
            return
        there = lin.at_home(slip["uri"])["id"]
        screen.check("She deletes it, and it is gone at the lab", lambda: self._gone(slip, there))
        screen.check(
            "Nothing brings it back: the lab asks for its address and gets nothing",
            lambda: same(lin.ask("/api/v2/search", q=slip["uri"], resolve="true")["statuses"], []),
        )

    def _edit(self, post: Json) -> None:
        text = "A ring-shaped shadow behind the heart, five patients this month. Has anybody seen this? #thorax"
        want("five" in self.ana.edit(post, text)["content"], "the text did not change")

    def _edited(self, status: Json) -> None:
        original = status["reblog"] or status
        want("five patients" in original["content"] and original["edited_at"], "the former text is still there")

    def _slip(self) -> Json:
        made = self.ana.write("Oops, wrong window", reach="partners")
        self.lin.at_home(made["uri"])
        return made

    def _gone(self, post: Json, there: str) -> None:
        if self.ana.status_of(f"/api/v1/statuses/{post['id']}")[0] == 200:
            self.ana.delete(post)
        same(self.lin.status_of(f"/api/v1/statuses/{there}")[0], 404)

    def refuse(self) -> None:
        """The stranger's attempts."""
        screen, ivan, ana = self.screen, self.ivan, self.ana
        clinic, stranger = self.world.clinic.place, self.world.stranger.place
        screen.title("The stranger at the door")
        actor = f"/users/{ana.name}"
        post = self.posts["question"]["uri"].removeprefix(clinic.origin) if "question" in self.posts else NOWHERE
        screen.check(
            "A program without a key asks for Ana and for her post: refused, and so is what does not exist",
            lambda: self._alike([unsigned_get(clinic, path) for path in (actor, post, NOWHERE)], (401,)),
            "the same answer for all three",
        )
        screen.check(
            "Ivan asks with his signature: refused by name, and nobody can tell what exists",
            lambda: self._alike([ivan.signed_get(clinic, path) for path in (actor, post, NOWHERE)], (403,)),
            "rule unlisted",
        )
        screen.check("Ivan looks Ana up from his own server: he finds nobody", lambda: self._finds_nobody(ana.handle))
        screen.check("Ivan sends a signed Follow to Ana's inbox: 403", lambda: same(self._follows()[0], 403))
        screen.check("Ivan sends a signed post to the shared inbox: 403", lambda: same(self._posts()[0], 403))
        screen.check("Ana has no follower from there and was not told anything", self._untouched)
        before = _asked_by_others(self.world.stranger)
        screen.check(
            f"Ana looks {ivan.handle} up: the clinic's policy says no, with the rule's reason", self._not_allowed
        )
        screen.check("Ana names him in a post: his name stays plain text, and she is told why", self._plain)
        screen.check(
            f"Of all this, {stranger.domain} was asked nothing: not one request",
            lambda: same((before, _asked_by_others(self.world.stranger)), (0, 0)),
        )
        screen.check("The clinic has counted the refusals, with the rule", self._counted)

    def _alike(self, answers: list[tuple[int, str]], statuses: tuple[int, ...]) -> None:
        want(answers[0][0] in statuses, f"{answers[0][0]}: {answers[0][1][:100]}")
        same(answers[1:], answers[:1] * (len(answers) - 1))

    def _finds_nobody(self, handle: str) -> None:
        try:
            found = self.ivan.find(handle)
        except NotSo:
            return
        raise NotSo(f"he found {found['acct']}")

    def _activity(self, **more: Any) -> Json:
        me = f"{self.ivan.place.origin}/users/{self.ivan.name}"
        return {"@context": "https://www.w3.org/ns/activitystreams", "id": f"{me}#1", "actor": me, **more}

    def _follows(self) -> tuple[int, str]:
        place = self.world.clinic.place
        document = self._activity(type="Follow", object=f"{place.origin}/users/{self.ana.name}")
        return self.ivan.signed_post(place, f"/users/{self.ana.name}/inbox", document)

    def _posts(self) -> tuple[int, str]:
        target = f"{self.world.clinic.place.origin}/users/{self.ana.name}"
        me = self._activity()["actor"]
        note = {"id": f"{me}/1", "type": "Note", "attributedTo": me, "to": [target], "content": "Buy my pills"}
        return self.ivan.signed_post(
            self.world.clinic.place, "/inbox", self._activity(type="Create", object=note, to=[target])
        )

    def _untouched(self) -> None:
        me = self.ana.ask("/api/v1/accounts/verify_credentials")["id"]
        followers = {a["acct"] for a in self.ana.ask(f"/api/v1/accounts/{me}/followers")}
        same(followers, {self.lin.acct, self.max.acct})
        same([n for n in self.ana.ask("/api/v1/notifications", limit=40) if "ivan" in n["account"]["acct"]], [])

    def _not_allowed(self) -> None:
        status, error = self.ana.status_of("/api/v2/search", q=self.ivan.handle, resolve="true")
        same(status, 403)
        want("not on the allow-list" in error, error)

    def _plain(self) -> None:
        made = self.ana.write(f"Has {self.ivan.handle} written to anybody?", reach="partners")
        same(made["mentions"], [])
        same([each["acct"] for each in made["fedishare"]["unreached"]], [self.ivan.acct])

    def _counted(self) -> None:
        found = figures(self.world.clinic.place)
        refused = found.get('fedishare_decisions{question="connect",verdict="deny",rule="unlisted"}', 0)
        want(refused >= 5, f"{refused:.0f} refusals so far")

    def stop_and_go(self) -> None:
        """The security team's switch."""
        screen, clinic = self.screen, self.world.clinic
        lab = self.world.lab.place.domain
        screen.title("The security team pulls a lever, and pushes it back")
        clinic.command("partner", "pause", lab)
        screen.check(
            "`fedishare partner pause` stops everything with the lab within 5 seconds",
            self._refused_as_paused,
            within=5.0,
        )
        waiting = screen.check("What Ana writes now waits, and the ledger says why", lambda: self._waits())
        screen.check("`fedishare partner resume`", lambda: clinic.command("partner", "resume", lab))
        if waiting is not None:
            screen.check("It arrives at the lab: nothing was lost", lambda: self.lin.at_home(waiting["uri"])["content"])

    def _refused_as_paused(self) -> None:
        status, body = self.lin.signed_get(self.world.clinic.place, f"/users/{self.ana.name}")
        want(status == 403 and "paused" in body, f"{status} {body[:100]}")

    def _waits(self) -> Json:
        made = self.ana.write("Are you still there?", reach="partners")
        rows = self.world.clinic.command("deliveries", made["id"], "--json")["deliveries"]
        found = [(row["state"], row["rule"]) for row in rows]
        want(found and all(state in ("held", "queued") for state, _ in found), f"the ledger has {found}")
        return made

    def sum_up(self) -> None:
        """The books."""
        self.screen.title("The books")
        for instance in self.world.all[:2]:
            self.screen.check(
                f"{instance.place.domain}: every job is done, none is dead; `fedishare verify` finds nothing wrong",
                partial(self._verified, instance),
            )

    def _verified(self, instance: Instance) -> None:
        for name, number in figures(instance.place).items():
            if name.startswith("fedishare_jobs{") and 'state="done"' not in name and 'state="cancelled"' not in name:
                same((name, number), (name, 0))
        want(instance.command("verify", "--json")["ok"], "verify found something")


def _asked_by_others(instance: Instance) -> int:
    """How many requests came to an instance that were not the demo's own."""
    total = 0
    for name, number in figures(instance.place).items():
        if name.startswith("fedishare_answers_total{"):
            path = name.partition('route="')[2].partition('"')[0].partition(" ")[2]
            total += 0 if path.startswith(OWN) else int(number)
    return total


def _org(person: Person) -> str:
    return person.place.domain.partition(".")[0]
