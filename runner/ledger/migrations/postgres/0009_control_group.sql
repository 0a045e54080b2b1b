-- Who is held out of an occurrence as its control group: they got no message, and are no deliveries. Plan and run are
-- those that held them out first.
CREATE TABLE held_out (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurrence_id bigint NOT NULL REFERENCES occurrences (id),
    phone text NOT NULL,
    recipient_id text NOT NULL,
    plan_id bigint NOT NULL REFERENCES plans (id),
    run_id bigint NOT NULL REFERENCES runs (id),
    at double precision NOT NULL,
    UNIQUE (occurrence_id, phone)
);
CREATE INDEX held_out_of_run ON held_out (run_id);
