-- Where the person was reached whom an alias does away with: consent is asked for both.
alter table outbox add column previous_contact_point_type text;
alter table outbox add column previous_contact_point_value text;

-- A change waits for earlier ones of the same people and contact points, of whichever
-- side of an alias; looked for at every claim.
create index outbox_previous_person
    on outbox (activation, previous_individual_id, sequence)
    where previous_individual_id is not null;
create index outbox_previous_contact_point
    on outbox (activation, previous_contact_point_value, sequence)
    where previous_contact_point_value is not null;

-- Merges that stand, for the aliases that wait: copied with each hand-over, because a
-- destination that was told a merge cannot be untold it.
create table merge (
    previous_individual_id text not null,
    unified_individual_id text not null,
    primary key (previous_individual_id, unified_individual_id)
) without rowid;
