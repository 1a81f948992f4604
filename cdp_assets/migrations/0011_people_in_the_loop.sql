-- Decisions of people, their labels, which gates they released, and where every record
-- was after which run.

-- A split is several decisions given with one command; runs note since when each holds.
alter table identity.decision add column command varchar;
alter table identity.decision add column given_with bigint;
alter table identity.decision add column undone_by varchar;
alter table identity.decision add column undone_reason varchar;
alter table identity.decision add column applied_run bigint;
alter table identity.decision add column lifted_run bigint;

-- Null: the one who was asked could not tell.
alter table identity.labelled_pair alter column is_match drop not null;
alter table identity.labelled_pair add column labelled_by varchar;

-- The frequencies that weights were adjusted by, so that old evidence can be explained.
alter table identity.match_model add column frequencies json;

-- Append only: one row each time a record changes its person, null when it is gone.
create sequence identity.link_history_seq;

create table identity.link_history (
    seq bigint not null default nextval('identity.link_history_seq'),
    object varchar not null,
    record varchar not null,
    unified_id varchar,
    run bigint not null
);

insert into identity.link_history (object, record, unified_id, run)
select 'individual', record, unified_individual_id, linked_at_run
from identity.unified_link_individual
union all
select 'account', record, unified_account_id, linked_at_run
from identity.unified_link_account;

-- What a held run's gates found, and who said to publish in spite of them.
create table identity.held_gate (
    run bigint not null,
    object varchar not null,
    gate varchar not null,
    most double not null,
    found double not null,
    released_by varchar,
    released_at timestamp,
    released_reason varchar,
    used_run bigint
);
