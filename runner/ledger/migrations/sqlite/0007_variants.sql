-- Which of its campaign's variants a delivery was of, NULL in a campaign without. It is kept with each event too, as
-- the delivery may move on.
ALTER TABLE deliveries ADD COLUMN variant TEXT;
ALTER TABLE events ADD COLUMN variant TEXT;

-- The counts of each variant (empty: none) apart.
CREATE TABLE tallies_by_variant (
    plan_id INTEGER NOT NULL REFERENCES plans (id),
    state TEXT NOT NULL,
    rule TEXT NOT NULL,
    variant TEXT NOT NULL,
    deliveries INTEGER NOT NULL,
    PRIMARY KEY (plan_id, state, rule, variant)
) WITHOUT ROWID;
INSERT INTO tallies_by_variant (plan_id, state, rule, variant, deliveries)
SELECT plan_id, state, rule, '', deliveries FROM tallies;
DROP TABLE tallies;
ALTER TABLE tallies_by_variant RENAME TO tallies;
