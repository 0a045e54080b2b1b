-- The statements of every SQL ledger. :names are parameters; times are epoch seconds (UTC).

-- name: identity
-- Tell this ledger from every other.
SELECT identity FROM ledger

-- name: occurrence
-- Find an occurrence and its generation.
SELECT id, generation FROM occurrences WHERE campaign = :campaign AND occurrence = :occurrence

-- name: occurrences
-- List the occurrences of one campaign, or of all, with their latest plan, in the order of first use.
SELECT occurrences.id, occurrences.campaign, occurrences.occurrence, plans.digest
FROM occurrences JOIN plans ON plans.id = (
    SELECT max(latest.id) FROM plans AS latest WHERE latest.occurrence_id = occurrences.id
)
WHERE CAST(:campaign AS TEXT) IS NULL OR occurrences.campaign = :campaign
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
INSERT INTO plans (digest, occurrence_id, to_send, created_at, details)
SELECT :digest, id, :to_send, :created_at, :details FROM occurrences
WHERE campaign = :campaign AND occurrence = :occurrence
ON CONFLICT (digest) DO NOTHING

-- name: plan
-- Find a plan by its digest.
SELECT plans.digest, campaign, occurrence, to_send, created_at, first_applied_at, finished_at,
    details
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
-- Record the start of a run, and tell its number.
INSERT INTO runs (plan_id, owner, host, pid, process_started, started_at)
VALUES (:plan_id, :owner, :host, :pid, :process_started, :now)
RETURNING id

-- name: mark_ended
-- Note how and when a run ended.
UPDATE runs SET ended_at = :now, exit_code = :exit_code WHERE id = :run

-- name: run_scope
-- Find what a run may write about: its plan and its occurrence.
SELECT plans.id, occurrences.id, campaign, occurrence
FROM runs JOIN plans ON plans.id = runs.plan_id JOIN occurrences ON occurrences.id = plans.occurrence_id
WHERE runs.id = :run

-- name: runs
-- List every run, in order.
SELECT runs.id, plans.digest, owner, host, pid, process_started, started_at, ended_at, exit_code
FROM runs JOIN plans ON plans.id = runs.plan_id
ORDER BY runs.id

-- name: run_record
-- Find a run by its number.
SELECT runs.id, plans.digest, owner, host, pid, process_started, started_at, ended_at, exit_code
FROM runs JOIN plans ON plans.id = runs.plan_id
WHERE runs.id = :run

-- name: last_run
-- Find the latest run of a plan.
SELECT runs.id, plans.digest, owner, host, pid, process_started, started_at, ended_at, exit_code
FROM runs JOIN plans ON plans.id = runs.plan_id
WHERE plans.digest = :digest ORDER BY runs.id DESC LIMIT 1

-- name: add_resolution
-- Record who settled a delivery by hand, and why.
INSERT INTO resolutions (occurrence_id, phone, resolved_to, resolved_by, note, at)
VALUES (:occurrence_id, :phone, :outcome, :by, :note, :now)

-- name: in_flight
-- List what a run left without an outcome; the counts say whether there is any, as no index does.
SELECT phone, plan_id, run_id, '', variant FROM deliveries
WHERE occurrence_id = :occurrence_id AND state = 'intent'
    AND 0 < (
        SELECT coalesce(sum(deliveries), 0) FROM tallies JOIN plans ON plans.id = tallies.plan_id
        WHERE plans.occurrence_id = :occurrence_id AND state = 'intent'
    )
ORDER BY run_id, deliveries.id

-- name: open_unknown
-- List the unknown deliveries of an occurrence, or the one to a phone.
SELECT phone, plan_id, run_id, rule, variant FROM deliveries
WHERE occurrence_id = :occurrence_id AND state = 'unknown' AND (CAST(:phone AS TEXT) IS NULL OR phone = :phone)

-- name: plan_tallies
-- Count a plan's deliveries by state and rule.
SELECT state, rule, CAST(sum(deliveries) AS BIGINT) FROM tallies JOIN plans ON plans.id = tallies.plan_id
WHERE plans.digest = :digest GROUP BY state, rule

-- name: occurrence_tallies
-- Count an occurrence's deliveries by state and rule, over all its plans.
SELECT state, rule, CAST(sum(deliveries) AS BIGINT) FROM tallies JOIN plans ON plans.id = tallies.plan_id
WHERE plans.occurrence_id = :occurrence_id GROUP BY state, rule

-- name: variant_tallies
-- Count an occurrence's deliveries by variant, state and rule, over all its plans.
SELECT variant, state, rule, CAST(sum(deliveries) AS BIGINT)
FROM tallies JOIN plans ON plans.id = tallies.plan_id
WHERE plans.occurrence_id = :occurrence_id AND variant <> '' GROUP BY variant, state, rule

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
WHERE intent_at > :since AND state IN ('intent', 'accepted', 'unknown') GROUP BY phone

-- name: latest_run
-- Find the number of the latest run of all; 0 before the first.
SELECT coalesce(max(id), 0) FROM runs

-- name: occurrences_since
-- List the occurrences of which any run lasted till a moment; one without an end may have lasted for 30 days.
SELECT DISTINCT plans.occurrence_id FROM runs JOIN plans ON plans.id = runs.plan_id
WHERE coalesce(ended_at, started_at + 2592000) >= :since

-- name: unknowns
-- Show the first unknown deliveries of an occurrence, oldest first.
SELECT campaign, occurrence, phone, recipient_id, plans.digest, run_id, state, attempts, intent_at,
    settled_at, rule, message_id, http_status, code, detail, receipt, variant
FROM deliveries
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
JOIN plans ON plans.id = deliveries.plan_id
WHERE deliveries.occurrence_id = :occurrence_id AND state = 'unknown'
ORDER BY deliveries.id LIMIT :limit

-- name: deliveries_to
-- Show every delivery to one phone: one look-up in each occurrence.
SELECT campaign, occurrence, phone, recipient_id, plans.digest, run_id, state, attempts, intent_at,
    settled_at, rule, message_id, http_status, code, detail, receipt, variant
FROM deliveries
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
JOIN plans ON plans.id = deliveries.plan_id
WHERE deliveries.occurrence_id IN (SELECT id FROM occurrences) AND phone = :phone
ORDER BY intent_at

-- name: events_of
-- Show everything that became of one delivery, oldest first.
SELECT events.number, campaign, occurrence, phone, events.recipient_id, plans.digest, events.run_id,
    events.attempt, events.intent_at, events.at, events.event, events.rule, events.message_id,
    events.http_status, events.code, events.detail, events.variant
FROM events
JOIN deliveries ON deliveries.id = events.delivery_id
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
JOIN runs ON runs.id = events.run_id
JOIN plans ON plans.id = runs.plan_id
WHERE campaign = :campaign AND occurrence = :occurrence AND phone = :phone
ORDER BY events.number

-- name: events_between
-- List the events of a run between two numbers, both included.
SELECT events.number, campaign, occurrence, phone, events.recipient_id, plans.digest, events.run_id,
    events.attempt, events.intent_at, events.at, events.event, events.rule, events.message_id,
    events.http_status, events.code, events.detail, events.variant
FROM events
JOIN deliveries ON deliveries.id = events.delivery_id
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
JOIN runs ON runs.id = events.run_id
JOIN plans ON plans.id = runs.plan_id
WHERE events.run_id = :run AND events.number BETWEEN :first AND :last
ORDER BY events.number

-- name: log_batches
-- List what was cut of a run for a log.
SELECT run_id, number, first_event, last_event, event_count, pushed_at FROM log_batches
WHERE target = :target AND run_id = :run ORDER BY number

-- name: last_cut
-- Find where the last cut ended: the number of its batch, and of its last event.
SELECT number, last_event FROM log_batches
WHERE target = :target AND run_id = :run ORDER BY number DESC LIMIT 1

-- name: cut_log
-- Put the events of a run after the last cut into batches, numbered on.
INSERT INTO log_batches (target, run_id, number, first_event, last_event, event_count, cut_at)
SELECT :target, :run, :after_number + part + 1, min(number), max(number), count(*), :now
FROM (
    SELECT number, (row_number() OVER (ORDER BY number) - 1) / :size AS part
    FROM events WHERE run_id = :run AND number > :after_event
) AS parted
GROUP BY part

-- name: cut_held_out
-- Put whom a run held out after the last cut into batches, numbered on.
INSERT INTO log_batches (target, run_id, number, first_event, last_event, event_count, cut_at)
SELECT :target, :run, :after_number + part + 1, min(number), max(number), count(*), :now
FROM (
    SELECT number, (row_number() OVER (ORDER BY number) - 1) / :size AS part
    FROM held_out WHERE run_id = :run AND number > :after
) AS parted
GROUP BY part

-- name: held_out_between
-- List whom a run held out between two numbers, both included.
SELECT held_out.number, campaign, occurrence, phone, recipient_id, plans.digest, run_id, at FROM held_out
JOIN occurrences ON occurrences.id = held_out.occurrence_id
JOIN plans ON plans.id = held_out.plan_id
WHERE run_id = :run AND held_out.number BETWEEN :first AND :last ORDER BY held_out.number

-- name: held_out_of
-- List the occurrences that a phone was held out of: one look-up in each.
SELECT held_out.number, campaign, occurrence, phone, recipient_id, plans.digest, run_id, at FROM held_out
JOIN occurrences ON occurrences.id = held_out.occurrence_id
JOIN plans ON plans.id = held_out.plan_id
WHERE held_out.occurrence_id IN (SELECT id FROM occurrences) AND phone = :phone ORDER BY held_out.number

-- name: mark_logged
-- Note when a batch was where it belongs.
UPDATE log_batches SET pushed_at = coalesce(pushed_at, :now)
WHERE target = :target AND run_id = :run AND number = :number

-- name: deliveries_between
-- List the deliveries intended between two moments, in the order of their intents.
SELECT deliveries.id, campaign, occurrence, plan_id, phone, message_id, state, receipt, intent_at, settled_at
FROM deliveries JOIN occurrences ON occurrences.id = deliveries.occurrence_id
WHERE intent_at >= :since AND intent_at < :until
ORDER BY intent_at, deliveries.id

-- name: plan_details
-- Find what is kept of a plan, by its number.
SELECT details FROM plans WHERE id = :plan_id

-- name: standing_stop
-- Find the stop that stands for a campaign: its own, else that of all, whose name is empty. The || keeps SQLite
-- from making a table of the two names for each group: those that stand are few.
SELECT campaign, stopped_by, note, stopped_at FROM stops
WHERE campaign || '' IN (:campaign, '') AND lifted_at IS NULL ORDER BY campaign DESC LIMIT 1

-- name: stops
-- List the stops that stand, that of all campaigns first.
SELECT campaign, stopped_by, note, stopped_at FROM stops WHERE lifted_at IS NULL ORDER BY campaign

-- name: add_stop
-- Stop a campaign, unless it is.
INSERT INTO stops (campaign, stopped_by, note, stopped_at) VALUES (:campaign, :by, :note, :now)
ON CONFLICT (campaign) WHERE lifted_at IS NULL DO NOTHING

-- name: lift_stop
-- Lift a stop, if it stands.
UPDATE stops SET lifted_by = :by, lifted_at = :now WHERE campaign = :campaign AND lifted_at IS NULL

-- name: last_outcome
-- Find when the last outcome of a plan's runs was recorded; it goes through all their events.
SELECT max(at) FROM events
WHERE run_id IN (SELECT runs.id FROM runs JOIN plans ON plans.id = runs.plan_id WHERE plans.digest = :digest)
    AND event IN ('accepted', 'refused', 'retry', 'unknown')

-- name: lock
-- Find who holds a lock.
SELECT owner, host, pid, process_started, started_at, heartbeat_at FROM locks WHERE name = :name

-- name: add_lock
-- Take a lock; its number is new for ever.
INSERT INTO locks (name, owner, host, pid, process_started, started_at, heartbeat_at)
VALUES (:name, :owner, :host, :pid, :process_started, :now, :now)
RETURNING number

-- name: beat
-- Say that the holder of a lock is alive.
UPDATE locks SET heartbeat_at = :now WHERE name = :name AND number = :number

-- name: drop_lock
-- Give a lock back.
DELETE FROM locks WHERE name = :name AND number = :number

-- name: drop_stale_lock
-- Take a lock away from a holder that is gone.
DELETE FROM locks WHERE name = :name

-- name: set_pace
-- Keep a sender's pace.
UPDATE senders SET tat = :tat, seen_at = :seen_at, widest = :widest, widest_until = :widest_until
WHERE sender = :sender

-- name: add_sender
-- Begin a sender's pace, unless it is there.
INSERT INTO senders (sender, tat, seen_at, widest, widest_until) VALUES (:sender, 0, 0, 0, 0)
ON CONFLICT (sender) DO NOTHING

-- name: shares
-- List the runs that share a sender's pace.
SELECT run_id, passed, seen_at FROM pace_shares WHERE sender = :sender

-- name: set_share
-- Keep how far a run has passed.
INSERT INTO pace_shares (sender, run_id, passed, seen_at) VALUES (:sender, :run, :passed, :seen_at)
ON CONFLICT (sender, run_id) DO UPDATE SET passed = excluded.passed, seen_at = excluded.seen_at

-- name: drop_share
-- Forget a run that takes no slots any more.
DELETE FROM pace_shares WHERE sender = :sender AND run_id = :run

-- name: audit_head
-- Find where the audit log ends.
SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1

-- name: add_audit
-- Add an entry to the audit log.
INSERT INTO audit (number, at, event, actor, details, previous, hash)
VALUES (:number, :at, :event, :actor, :details, :previous, :hash)

-- name: audit
-- List the audit log.
SELECT number, at, event, actor, details, previous, hash FROM audit ORDER BY number

-- name: held_locks
-- List the locks of occurrences that are held: they alone have a slash in their names.
SELECT name FROM locks WHERE replace(name, '/', '') <> name ORDER BY name

-- name: last_forgotten
-- Find the number of whoever was forgotten last; 0 when nobody was.
SELECT coalesce(max(number), 0) FROM forgotten

-- name: forgotten
-- List the keyed hashes of the people who were forgotten.
SELECT keyed_hash FROM forgotten ORDER BY number

-- name: add_forgotten
-- Keep the keyed hash of a person, unless it is there.
INSERT INTO forgotten (keyed_hash, at) VALUES (:keyed_hash, :now) ON CONFLICT (keyed_hash) DO NOTHING

-- name: forget_proof
-- Find what tells the right key from a wrong one.
SELECT proof FROM forget_key

-- name: set_forget_proof
-- Keep what tells the right key, unless one is kept.
INSERT INTO forget_key (id, proof) VALUES (1, :proof) ON CONFLICT (id) DO NOTHING

-- name: occurrences_to
-- List the occurrences that have a delivery to a phone, and where it stands: one look-up in each.
SELECT occurrences.id, campaign, occurrence, state FROM deliveries
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
WHERE deliveries.occurrence_id IN (SELECT id FROM occurrences) AND phone = :phone
ORDER BY occurrences.id

-- name: erase_events
-- Erase whom the events of a phone's deliveries are about.
UPDATE events SET recipient_id = '', message_id = NULL, detail = NULL
WHERE delivery_id IN (
    SELECT id FROM deliveries WHERE occurrence_id IN (SELECT id FROM occurrences) AND phone = :phone
)

-- name: erase_deliveries
-- Erase whom a phone's deliveries were for. In its place is a number below zero, which is nobody's.
UPDATE deliveries SET phone = '-' || id, recipient_id = '', message_id = NULL, detail = NULL
WHERE occurrence_id IN (SELECT id FROM occurrences) AND phone = :phone

-- name: erase_held_out
-- Erase who was held out, as above.
UPDATE held_out SET phone = '-' || number, recipient_id = ''
WHERE occurrence_id IN (SELECT id FROM occurrences) AND phone = :phone

-- name: erase_resolutions
-- Erase whom settlements were about, and what was noted of them.
UPDATE resolutions SET phone = '', note = '' WHERE phone = :phone

-- name: erase_webhooks
-- Erase what the provider told of a phone, or by a tag of its delivery.
DELETE FROM webhooks
WHERE phone = :phone OR replace(tag || '/', '/' || :phone || '/', '') <> tag || '/'

-- name: erase_opt_outs
-- Erase the opt-out of a phone: a keyed hash holds it from now on.
DELETE FROM opt_outs WHERE phone = :phone

-- name: opted_out
-- List the phones that are not to be messaged any more.
SELECT phone FROM opt_outs

-- name: opted_out_after
-- List the opt-outs above a number, in order.
SELECT number, phone FROM opt_outs WHERE number > :number ORDER BY number

-- name: opt_out
-- Find the opt-out of a phone.
SELECT at, source, detail FROM opt_outs WHERE phone = :phone

-- name: due_webhooks
-- List the webhooks that are to be matched by now, those due longest first.
SELECT number, received_at, message_id, tag, sender, phone, status, at, code, detail, verdict FROM webhooks
WHERE due_at IS NOT NULL AND due_at <= :now ORDER BY due_at, number LIMIT :limit

-- name: unmatched_webhooks
-- List the latest webhooks that were matched with nothing.
SELECT number, received_at, message_id, tag, sender, phone, status, at, code, detail, verdict FROM webhooks
WHERE settled_at IS NULL AND verdict IS NOT NULL ORDER BY number DESC LIMIT :limit

-- name: unsettled_webhooks
-- Count the webhooks that are not settled by their verdict.
SELECT coalesce(verdict, 'waiting'), count(*) FROM webhooks
WHERE settled_at IS NULL GROUP BY coalesce(verdict, 'waiting')

-- name: claim_notice
-- Note which state a topic is in, if it was in another; what `leaves` names (or all, if empty) may be left for it.
INSERT INTO notices (campaign, occurrence, topic, state, at)
VALUES (:campaign, :occurrence, :topic, :state, :now)
ON CONFLICT (campaign, occurrence, topic) DO UPDATE SET state = excluded.state, at = excluded.at
WHERE notices.state <> excluded.state
    AND (CAST(:leaves AS TEXT) = '' OR substr(notices.state, 1, length(:leaves)) = :leaves)

-- name: drop_notice
-- Forget which state a topic is in, if it is this one, or whichever it is.
DELETE FROM notices WHERE campaign = :campaign AND occurrence = :occurrence AND topic = :topic
    AND (CAST(:state AS TEXT) IS NULL OR state = :state)

-- name: last_approval
-- Find the last approval of a campaign, also one that was revoked.
SELECT campaign, digest, content, approved_by, approved_at, git, revoked_by, revoked_at FROM approvals
WHERE campaign = :campaign ORDER BY id DESC LIMIT 1

-- name: add_approval
-- Approve a definition.
INSERT INTO approvals (campaign, digest, content, approved_by, approved_at, git)
VALUES (:campaign, :digest, :content, :by, :now, :git)

-- name: revoke_approval
-- Take the last approval of a campaign back, if it stands.
UPDATE approvals SET revoked_by = :by, revoked_at = :now
WHERE id = (SELECT max(id) FROM approvals WHERE campaign = :campaign) AND revoked_at IS NULL

-- name: noted_until
-- Find until when a campaign's firings are noted.
SELECT noted_until FROM watched WHERE campaign = :campaign

-- name: add_watched
-- Let a campaign's firings count from now on, unless they do already.
INSERT INTO watched (campaign, since, noted_until) VALUES (:campaign, :now, :now)
ON CONFLICT (campaign) DO NOTHING

-- name: move_noted
-- Note until when a campaign's firings are noted; it never goes back.
UPDATE watched SET noted_until = :until WHERE campaign = :campaign AND noted_until < :until

-- name: add_firing
-- Note a firing; one that was missed, or has not started, and has been put to a later time, is due then.
INSERT INTO firings (campaign, occurrence, due_at, state, at, by_whom, detail)
VALUES (:campaign, :occurrence, :due_at, 'due', :now, :by, '')
ON CONFLICT (campaign, occurrence) DO UPDATE
SET due_at = excluded.due_at, state = excluded.state, at = excluded.at, by_whom = excluded.by_whom, detail = '',
    opens_at = NULL
WHERE firings.state IN ('due', 'waiting', 'missed') AND firings.due_at < excluded.due_at

-- name: move_firing
-- Move a firing that is not closed.
UPDATE firings SET due_at = :due_at, state = :state, at = :at, by_whom = :by, detail = :detail, plan = :plan,
    definition = :definition, to_send = :to_send, opens_at = :opens_at, expires_at = :expires_at
WHERE campaign = :campaign AND occurrence = :occurrence AND state IN ('due', 'waiting', 'started')

-- name: open_firings
-- List a campaign's firings that are not closed, in the order of their due times.
SELECT campaign, occurrence, due_at, state, at, by_whom, detail, plan, definition, to_send, opens_at, expires_at
FROM firings
WHERE campaign = :campaign AND state IN ('due', 'waiting', 'started') ORDER BY due_at, occurrence

-- name: last_firings
-- List the latest firings of a campaign, or of all.
SELECT campaign, occurrence, due_at, state, at, by_whom, detail, plan, definition, to_send, opens_at, expires_at
FROM firings
WHERE CAST(:campaign AS TEXT) IS NULL OR campaign = :campaign ORDER BY due_at DESC, campaign, occurrence LIMIT :limit

-- name: firing_counts
-- Count firings by campaign and state.
SELECT campaign, state, count(*) FROM firings GROUP BY campaign, state

-- name: previous_size
-- Find the occurrence before one that was sent, and the deliveries of its greatest plan.
SELECT occurrences.occurrence, max(plans.to_send)
FROM occurrences JOIN plans ON plans.occurrence_id = occurrences.id
WHERE occurrences.campaign = :campaign AND occurrences.occurrence < :occurrence
GROUP BY occurrences.occurrence ORDER BY occurrences.occurrence DESC LIMIT 1
