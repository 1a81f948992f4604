-- What became of merged people: alias tells a destination that the person it knows as
-- previous_individual_id is unified_individual_id now.
create table outbox_next (
    sequence integer primary key,
    idempotency_key text not null unique,
    activation text not null,
    segment text not null,
    unified_individual_id text not null,
    operation text not null check (operation in ('add', 'update', 'remove', 'alias')),
    cause text not null,
    payload text not null,
    contact_point_type text,
    contact_point_value text,
    planned_run integer not null,
    planned_at text not null,
    state text not null default 'pending' check (
        state in ('pending', 'delivering', 'delivered', 'withheld', 'dead', 'dropped')
    ),
    -- Times it may have reached the destination, interrupted ones included.
    attempts integer not null default 0,
    -- Times the destination refused or failed; only these lead to a dead letter.
    failures integer not null default 0,
    next_attempt_at text not null,
    claimed_at text,
    -- The batch it was first sent in; kept so that a redelivery is the same batch.
    batch text,
    consent_record text,
    reason text,
    finished_at text,
    previous_individual_id text,
    check ((operation = 'alias') = (previous_individual_id is not null))
);
insert into outbox_next select *, null from outbox;
drop table outbox;
alter table outbox_next rename to outbox;
create index outbox_waiting on outbox (activation, sequence)
    where state in ('pending', 'delivering');
create index outbox_person on outbox (activation, unified_individual_id, sequence);
create index outbox_dead on outbox (sequence) where state = 'dead';

-- Destinations that ask us to wait, cannot be reached, or fail again and again. A row
-- goes with the first change that gets through.
create table breaker (
    activation text primary key,
    -- Requests in a row that failed.
    failures integer not null,
    -- Times it was opened since a change got through; each makes the next wait longer.
    openings integer not null,
    -- Until when nothing is sent; after it, one request tries. Null: closed.
    open_until text,
    opened_at text,
    reason text not null
) without rowid;
insert into breaker
select activation, 0, failures, until, until, reason from pause;
drop table pause;

-- What an operator stopped: an activation, or all of them under the name *.
create table pause (
    activation text primary key,
    since text not null
) without rowid;
