-- By what a destination knows people, where it knows them by an address or a number and
-- not by our id. All of this follows from the outbox and can be made again.
create table identifying_field (
    activation text not null,
    field text not null,
    primary key (activation, field)
) without rowid;

-- What the changes name that have not ended: a removal and an add that name the same
-- leave in order, whosever they are.
create table waiting_identifier (
    activation text not null,
    field text not null,
    value not null,
    is_removal integer not null,
    sequence integer not null,
    primary key (activation, field, value, is_removal, sequence)
) without rowid;
create index waiting_identifier_of on waiting_identifier (sequence);

-- What people are known by who are there and are not to be removed, and since which
-- change: a removal of somebody else leaves it out.
create table held_identifier (
    activation text not null,
    field text not null,
    value not null,
    unified_individual_id text not null,
    sequence integer not null,
    primary key (activation, field, value, unified_individual_id, sequence)
) without rowid;
create index held_identifier_of
    on held_identifier (activation, unified_individual_id, sequence);
create index held_identifier_since on held_identifier (sequence);

-- A dead letter is not replayed past what is under way.
create index outbox_delivering on outbox (activation, sequence)
    where state = 'delivering';
