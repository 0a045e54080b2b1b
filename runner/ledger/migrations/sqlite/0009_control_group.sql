-- Who is held out of an occurrence as its control group: they got no message, and are no deliveries. Plan and run are
-- those that held them out first.
CREATE TABLE held_out (
    number INTEGER PRIMARY KEY,
    occurrence_id INTEGER NOT NULL REFERENCES occurrences (id),
    phone TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    plan_id INTEGER NOT NULL REFERENCES plans (id),
    run_id INTEGER NOT NULL REFERENCES runs (id),
    at REAL NOT NULL,
    UNIQUE (occurrence_id, phone)
);
CREATE INDEX held_out_of_run ON held_out (run_id);
