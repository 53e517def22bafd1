-- Full-text search: what is searched in, and what still has to be taken in.
-- The words are made by fedishare.text.words, the same for both engines, which split nothing themselves.

-- only sqlite:
-- Newest posts first is the order of the index itself. The tokenizer parts at spaces, and takes every other character.
CREATE VIRTUAL TABLE post_words USING fts5(words, tokenize = "ascii tokenchars ':_'", columnsize = 0);
CREATE VIRTUAL TABLE actor_words USING fts5(words, tokenize = "ascii tokenchars ':_'", columnsize = 0, prefix = '2 3');
-- end
-- only postgres:
CREATE TABLE post_words (
    id {int} PRIMARY KEY REFERENCES post (id) ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX post_words_gin ON post_words USING gin (words);
CREATE TABLE actor_words (
    id {int} PRIMARY KEY REFERENCES actor (id) ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX actor_words_gin ON actor_words USING gin (words);
-- end

-- Written by triggers with the post or profile itself, emptied by whoever takes them in.
CREATE TABLE post_pending (post_id {id} REFERENCES post (id) ON DELETE CASCADE);
CREATE TABLE actor_pending (actor_id {id} REFERENCES actor (id) ON DELETE CASCADE);
INSERT INTO post_pending (post_id) SELECT id FROM post WHERE boost_of_id IS NULL;
INSERT INTO actor_pending (actor_id) SELECT id FROM actor;

-- only sqlite:
CREATE TRIGGER post_words_new AFTER INSERT ON post WHEN new.boost_of_id IS NULL BEGIN
    INSERT INTO post_pending (post_id) VALUES (new.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER post_words_changed AFTER UPDATE OF html, summary, title, sensitive, language, extra, in_reply_to_id ON post
WHEN new.boost_of_id IS NULL BEGIN
    INSERT INTO post_pending (post_id) VALUES (new.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER post_words_gone AFTER DELETE ON post WHEN old.boost_of_id IS NULL BEGIN
    DELETE FROM post_words WHERE rowid = old.id;
END;
CREATE TRIGGER actor_words_new AFTER INSERT ON actor BEGIN
    INSERT INTO actor_pending (actor_id) VALUES (new.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER actor_words_changed AFTER UPDATE OF name, domain, profile ON actor BEGIN
    INSERT INTO actor_pending (actor_id) VALUES (new.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER actor_words_gone AFTER DELETE ON actor BEGIN
    DELETE FROM actor_words WHERE rowid = old.id;
END;
-- end
-- only postgres:
CREATE FUNCTION post_pending_put() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO post_pending (post_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION actor_pending_put() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO actor_pending (actor_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER post_words_new AFTER INSERT ON post
FOR EACH ROW WHEN (NEW.boost_of_id IS NULL) EXECUTE FUNCTION post_pending_put();
CREATE TRIGGER post_words_changed AFTER UPDATE OF html, summary, title, sensitive, language, extra, in_reply_to_id ON post
FOR EACH ROW WHEN (NEW.boost_of_id IS NULL) EXECUTE FUNCTION post_pending_put();
CREATE TRIGGER actor_words_new AFTER INSERT ON actor FOR EACH ROW EXECUTE FUNCTION actor_pending_put();
CREATE TRIGGER actor_words_changed AFTER UPDATE OF name, domain, profile ON actor
FOR EACH ROW EXECUTE FUNCTION actor_pending_put();
-- end

-- in:library asks what somebody voted on.
CREATE INDEX vote_actor ON vote (actor_id, post_id);
