-- People who were forgotten, each as a keyed hash (HMAC-SHA-256 of the phone): enough to know them when they come
-- again, for who has the key. Numbers grow, so that the last one tells whether there are new ones.
CREATE TABLE forgotten (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    keyed_hash text NOT NULL UNIQUE,
    at double precision NOT NULL
);

-- What tells the right key from a wrong one. The key itself is stored nowhere.
CREATE TABLE forget_key (
    id integer PRIMARY KEY CHECK (id = 1),
    proof text NOT NULL
);
