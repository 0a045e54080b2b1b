-- Every statement of the SQLite ledger. :names are parameters; times are epoch seconds (UTC).

-- name: occurrence
-- Find an occurrence and its generation.
SELECT id, generation FROM occurrences WHERE campaign = :campaign AND occurrence = :occurrence

-- name: occurrences
-- List the occurrences of one campaign, or of all, with their latest plan, in the order of first use.
SELECT occurrences.id, occurrences.campaign, occurrences.occurrence, plans.digest
FROM occurrences JOIN plans ON plans.id = (
    SELECT max(latest.id) FROM plans AS latest WHERE latest.occurrence_id = occurrences.id
)
WHERE :campaign IS NULL OR occurrences.campaign = :campaign
ORDER BY occurrences.id

-- name: add_occurrence
-- Record an occurrence, unless it is there.
INSERT INTO occurrences (campaign, occurrence) VALUES (:campaign, :occurrence)
ON CONFLICT (campaign, occurrence) DO NOTHING

-- name: move_generation
-- Make the plans made so far for an occurrence stale.
UPDATE occurrences SET generation = generation + 1 WHERE id = :occurrence_id

-- name: add_plan
-- Record a plan, unless it is there.
INSERT INTO plans (digest, occurrence_id, to_send, created_at)
SELECT :digest, id, :to_send, :created_at FROM occurrences
WHERE campaign = :campaign AND occurrence = :occurrence
ON CONFLICT (digest) DO NOTHING

-- name: plan
-- Find a plan by its digest.
SELECT plans.digest, campaign, occurrence, to_send, created_at, first_applied_at, finished_at
FROM plans JOIN occurrences ON occurrences.id = plans.occurrence_id
WHERE plans.digest = :digest

-- name: plan_ids
-- Find the numbers of a plan and of its occurrence.
SELECT id, occurrence_id FROM plans WHERE digest = :digest

-- name: mark_applied
-- Note when a plan was first applied.
UPDATE plans SET first_applied_at = coalesce(first_applied_at, :now) WHERE id = :plan_id

-- name: mark_finished
-- Note when a plan had nothing left to do.
UPDATE plans SET finished_at = coalesce(finished_at, :now) WHERE digest = :digest

-- name: add_run
-- Record the start of a run.
INSERT INTO runs (plan_id, owner, host, pid, process_started, started_at)
VALUES (:plan_id, :owner, :host, :pid, :process_started, :now)

-- name: mark_ended
-- Note how and when a run ended.
UPDATE runs SET ended_at = :now, exit_code = :exit_code WHERE id = :run

-- name: run_scope
-- Find what a run may write about: its plan and its occurrence.
SELECT plans.id, occurrences.id, campaign, occurrence
FROM runs JOIN plans ON plans.id = runs.plan_id JOIN occurrences ON occurrences.id = plans.occurrence_id
WHERE runs.id = :run

-- name: last_run
-- Find the latest run of a plan.
SELECT runs.id, plans.digest, owner, host, pid, process_started, started_at, ended_at, exit_code
FROM runs JOIN plans ON plans.id = runs.plan_id
WHERE plans.digest = :digest ORDER BY runs.id DESC LIMIT 1

-- name: add_deliveries
-- Record the first intents of deliveries; no row is written for a key that is taken. :intents is a JSON list of
-- [occurrence, phone, recipient, plan, run]: one statement for a whole group is several times as fast.
INSERT INTO deliveries (occurrence_id, phone, recipient_id, plan_id, run_id, state, attempts, intent_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 'intent', 1, :now
FROM json_each(:intents) WHERE true
ON CONFLICT (occurrence_id, phone) DO NOTHING

-- name: save
-- Begin what may have to be undone within a transaction.
SAVEPOINT group_of_intents

-- name: undo
-- Undo what was done since.
ROLLBACK TO group_of_intents

-- name: retriable
-- Find a delivery that was refused for now: the only kind that may be sent again.
SELECT plan_id, rule FROM deliveries
WHERE occurrence_id = :occurrence_id AND phone = :phone AND state = 'retry'

-- name: retry_delivery
-- Record the intent of another attempt; what the last one came to is in `outcomes`.
UPDATE deliveries SET
    recipient_id = :recipient_id, plan_id = :plan_id, run_id = :run, state = 'intent',
    attempts = attempts + 1, intent_at = :now,
    settled_at = NULL, rule = NULL, http_status = NULL, code = NULL, detail = NULL
WHERE occurrence_id = :occurrence_id AND phone = :phone AND state = 'retry'

-- name: settle_deliveries
-- Move deliveries of their runs from one state to their outcomes; a message id, once known, stays. :settled is
-- a JSON list of [occurrence, phone, run, outcome, rule, message id, HTTP status, code, detail].
UPDATE deliveries SET
    state = value ->> 3, settled_at = :now, rule = value ->> 4,
    message_id = coalesce(value ->> 5, message_id),
    http_status = value ->> 6, code = value ->> 7, detail = value ->> 8
FROM json_each(:settled)
WHERE occurrence_id = value ->> 0 AND phone = value ->> 1 AND run_id = value ->> 2 AND state = :before

-- name: add_outcomes
-- Add the outcomes that deliveries have now to all they ever had; :settled as above.
INSERT INTO outcomes (
    delivery_id, attempt, at, outcome, run_id, rule, message_id, http_status, code, detail
)
SELECT deliveries.id, attempts, settled_at, state, run_id, rule, message_id, http_status, code, detail
FROM json_each(:settled) AS settled
CROSS JOIN deliveries ON occurrence_id = settled.value ->> 0 AND phone = settled.value ->> 1

-- name: add_resolution
-- Record who settled a delivery by hand, and why.
INSERT INTO resolutions (occurrence_id, phone, resolved_to, resolved_by, note, at)
VALUES (:occurrence_id, :phone, :outcome, :by, :note, :now)

-- name: in_flight
-- List what a run left without an outcome. States are written out here: only so are the short indexes used.
SELECT phone, plan_id, run_id, '' FROM deliveries WHERE occurrence_id = :occurrence_id AND state = 'intent'

-- name: open_unknown
-- List the unknown deliveries of an occurrence, or the one to a phone.
SELECT phone, plan_id, run_id, rule FROM deliveries
WHERE occurrence_id = :occurrence_id AND state = 'unknown' AND (:phone IS NULL OR phone = :phone)

-- name: add_tallies
-- Move counts of a plan's deliveries; :changes is a JSON list of [plan, state, rule, change].
INSERT INTO tallies (plan_id, state, rule, deliveries)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:changes) WHERE true
ON CONFLICT (plan_id, state, rule) DO UPDATE SET deliveries = deliveries + excluded.deliveries

-- name: plan_tallies
-- Count a plan's deliveries by state and rule.
SELECT state, rule, deliveries FROM tallies JOIN plans ON plans.id = tallies.plan_id
WHERE plans.digest = :digest

-- name: occurrence_tallies
-- Count an occurrence's deliveries by state and rule, over all its plans.
SELECT state, rule, sum(deliveries) FROM tallies JOIN plans ON plans.id = tallies.plan_id
WHERE plans.occurrence_id = :occurrence_id GROUP BY state, rule

-- name: states
-- Find where the deliveries to some phones (a JSON list) stand.
SELECT phone, state FROM deliveries
WHERE occurrence_id = :occurrence_id AND phone IN (SELECT value FROM json_each(:phones))

-- name: taken
-- List the phones that may not be sent an occurrence again. The index alone answers: ten times as fast.
SELECT phone FROM deliveries
WHERE occurrence_id = :occurrence_id
    AND id NOT IN (SELECT id FROM deliveries WHERE occurrence_id = :occurrence_id AND state = 'retry')

-- name: taken_by_others
-- List the phones that may not be sent an occurrence again, but for those of one plan.
SELECT phone FROM deliveries
WHERE occurrence_id = :occurrence_id AND state <> 'retry'
    AND plan_id <> coalesce((SELECT id FROM plans WHERE digest = :digest), 0)

-- name: recent
-- Count what each phone may have got since a moment; what was refused did not reach anyone.
SELECT phone, count(*) FROM deliveries
WHERE intent_at >= :since AND state IN ('intent', 'accepted', 'unknown') GROUP BY phone

-- name: unknowns
-- Show the first unknown deliveries of an occurrence, oldest first.
SELECT campaign, occurrence, phone, recipient_id, plans.digest, run_id, state, attempts, intent_at,
    settled_at, rule, message_id, http_status, code, detail
FROM deliveries
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
JOIN plans ON plans.id = deliveries.plan_id
WHERE deliveries.occurrence_id = :occurrence_id AND state = 'unknown'
ORDER BY deliveries.id LIMIT :limit

-- name: deliveries_to
-- Show every delivery to one phone: one look-up in each occurrence.
SELECT campaign, occurrence, phone, recipient_id, plans.digest, run_id, state, attempts, intent_at,
    settled_at, rule, message_id, http_status, code, detail
FROM occurrences
CROSS JOIN deliveries ON deliveries.occurrence_id = occurrences.id AND deliveries.phone = :phone
JOIN plans ON plans.id = deliveries.plan_id
ORDER BY intent_at

-- name: outcomes_of
-- Show every outcome of one delivery, oldest first.
SELECT attempt, at, outcomes.run_id, outcome, outcomes.rule, outcomes.message_id, outcomes.http_status,
    outcomes.code, outcomes.detail
FROM outcomes
JOIN deliveries ON deliveries.id = outcomes.delivery_id
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
WHERE campaign = :campaign AND occurrence = :occurrence AND phone = :phone
ORDER BY attempt, at

-- name: lock
-- Find who holds a lock.
SELECT owner, host, pid, process_started, started_at, heartbeat_at FROM locks WHERE name = :name

-- name: lock_is_held
-- Tell whether a lock is still held by this token.
SELECT 1 FROM locks WHERE name = :name AND number = :number

-- name: add_lock
-- Take a lock; its number is new for ever.
INSERT INTO locks (name, owner, host, pid, process_started, started_at, heartbeat_at)
VALUES (:name, :owner, :host, :pid, :process_started, :now, :now)

-- name: beat
-- Say that the holder of a lock is alive.
UPDATE locks SET heartbeat_at = :now WHERE name = :name AND number = :number

-- name: drop_lock
-- Give a lock back.
DELETE FROM locks WHERE name = :name AND number = :number

-- name: drop_stale_lock
-- Take a lock away from a holder that is gone.
DELETE FROM locks WHERE name = :name

-- name: pace
-- Find a sender's pace.
SELECT tat, seen_at, widest, widest_until FROM senders WHERE sender = :sender

-- name: set_pace
-- Keep a sender's pace.
INSERT INTO senders (sender, tat, seen_at, widest, widest_until)
VALUES (:sender, :tat, :seen_at, :widest, :widest_until)
ON CONFLICT (sender) DO UPDATE SET
    tat = excluded.tat, seen_at = excluded.seen_at,
    widest = excluded.widest, widest_until = excluded.widest_until
