-- How the runs of a sender share its pace (runner/sharing.py): how far each has passed, and when it was seen, by the
-- time of the sender's row. Rows of runs that ended are dropped by the next one.
CREATE TABLE pace_shares (
    sender TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    passed REAL NOT NULL,
    seen_at REAL NOT NULL,
    PRIMARY KEY (sender, run_id)
) WITHOUT ROWID;
