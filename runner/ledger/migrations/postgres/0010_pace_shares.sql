-- How the runs of a sender share its pace (runner/sharing.py): how far each has passed, and when it was seen, by the
-- time of the sender's row. Rows of runs that ended are dropped by the next one.
CREATE TABLE pace_shares (
    sender text NOT NULL,
    run_id bigint NOT NULL,
    passed double precision NOT NULL,
    seen_at double precision NOT NULL,
    PRIMARY KEY (sender, run_id)
);
