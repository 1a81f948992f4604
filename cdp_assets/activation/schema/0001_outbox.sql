-- The outbox: what is to leave, what left, and by which row of consent.
-- Instants are text, ISO 8601 in UTC with microseconds, so that they sort as they stand.
create table outbox (
    sequence integer primary key,
    idempotency_key text not null unique,
    activation text not null,
    segment text not null,
    unified_individual_id text not null,
    operation text not null check (operation in ('add', 'update', 'remove')),
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
    finished_at text
);
create index outbox_waiting on outbox (activation, sequence)
    where state in ('pending', 'delivering');
create index outbox_person on outbox (activation, unified_individual_id, sequence);
create index outbox_dead on outbox (sequence) where state = 'dead';

create table attempt (
    sequence integer not null references outbox (sequence),
    attempt integer not null,
    started_at text not null,
    finished_at text not null,
    outcome text not null,
    reason text,
    primary key (sequence, attempt)
) without rowid;

create table receipt (
    position integer primary key autoincrement,
    receipt_id text not null unique,
    sequence integer not null references outbox (sequence),
    destination text not null,
    outcome text not null check (outcome in ('delivered', 'withheld', 'dead')),
    reason text,
    consent_record text,
    attempts integer not null,
    attempted_at text not null
);
create index receipt_of on receipt (sequence);

-- Ranges of receipts that were landed; at most one is open (landed_at is null).
create table landing (
    first_position integer primary key,
    last_position integer not null,
    landed_at text
);

-- The rows of dmo.contact_point_consent for the contact points that wait.
create table consent (
    contact_point_type text not null,
    contact_point_value text not null,
    id text not null,
    purpose text not null,
    channel text not null,
    status text not null,
    source text,
    captured_at text,
    effective_from text,
    effective_to text
);
create index consent_point on consent (contact_point_type, contact_point_value);

create table target_field (
    activation text not null,
    ordinal integer not null,
    field text not null,
    data_type text not null,
    primary key (activation, ordinal)
) without rowid;

-- Destinations that asked us to wait, or that could not be reached.
create table pause (
    activation text primary key,
    until text not null,
    failures integer not null,
    reason text not null
) without rowid;
