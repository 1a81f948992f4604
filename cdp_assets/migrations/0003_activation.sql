-- What each activation planned, and what it believes its destination holds.
-- sent_state is rewritten by delete and insert, so it carries no primary key (see 0001).
create schema if not exists activation;

-- One row per activation and person: the last change planned, and how it ended.
create table activation.sent_state (
    activation varchar not null,
    unified_individual_id varchar not null,
    -- How many changes were planned for this person: part of the idempotency key.
    person_sequence bigint not null,
    -- Null once the person left without the destination ever having held them.
    operation varchar,
    cause varchar not null,
    payload json,
    payload_hash varchar not null,
    contact_point_type varchar,
    contact_point_value varchar,
    sequence bigint not null,
    idempotency_key varchar not null,
    -- pending, delivered, withheld, dead or dropped, as last read from the outbox.
    outcome varchar not null,
    consent_record varchar,
    -- Whether the destination may hold this person because of us.
    is_held boolean not null
);

-- Every change ever planned, in order; copied by sequence into the outbox.
create table activation.planned (
    sequence bigint primary key,
    idempotency_key varchar not null,
    activation varchar not null,
    segment varchar not null,
    unified_individual_id varchar not null,
    operation varchar not null,
    cause varchar not null,
    payload json not null,
    contact_point_type varchar,
    contact_point_value varchar,
    planned_run bigint not null,
    planned_at timestamp not null
);

-- The fields of an activation's mapping and their types, so that files have a schema.
create table activation.target_field (
    activation varchar not null,
    ordinal integer not null,
    field varchar not null,
    data_type varchar not null
);
