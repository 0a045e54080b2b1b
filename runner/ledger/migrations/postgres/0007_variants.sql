-- Which of its campaign's variants a delivery was of, NULL in a campaign without. It is kept with each event too, as
-- the delivery may move on.
ALTER TABLE deliveries ADD COLUMN variant text;
ALTER TABLE events ADD COLUMN variant text;

-- The counts of each variant (empty: none) apart.
ALTER TABLE tallies ADD COLUMN variant text NOT NULL DEFAULT '';
ALTER TABLE tallies DROP CONSTRAINT tallies_pkey;
ALTER TABLE tallies ADD PRIMARY KEY (plan_id, state, rule, variant);
