-- What each data action knows of people and events, moved in the transaction of its plan.
-- action_state is rewritten by delete and insert, so it carries no primary key (see 0001).

-- One row per action that has looked once.
create table activation.action (
    action varchar not null,
    -- Of condition and trigger: another one takes the state of people as given.
    definition varchar not null,
    -- The last move of a record between people that was carried over.
    link_seq bigint not null,
    begun_at timestamp not null,
    begun_run bigint not null
);

-- Per action and person what the condition was when it was last looked at. People of
-- whom it was never true, and of whom no value is kept, are absent.
create table activation.action_state (
    action varchar not null,
    unified_individual_id varchar not null,
    is_true boolean not null,
    -- Times it became true: part of the idempotency key.
    edges bigint not null,
    -- When a message was last planned: what a cool-down counts from.
    fired_at timestamp,
    -- The fields of `previous` as of the last look.
    kept varchar
);

-- Events that were looked at, for as long as they are young enough to be an arrival.
create table activation.action_event (
    action varchar not null,
    event varchar not null,
    happened_at timestamp not null
);

-- What streaming insights keep of the events in their windows; dbt writes it.
create schema if not exists streaming;
