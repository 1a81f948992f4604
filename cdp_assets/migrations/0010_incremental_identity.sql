-- What an incremental resolution stands on, beside nodes and evidence. The compared form
-- of each node is in identity.matchable_<object>, which full runs make: its columns
-- follow the program.

-- The group of a node before groups are refined; nodes without a link are absent.
create table identity.component (
    object varchar not null,
    node_id bigint not null,
    component bigint not null
);

-- People with two records that contradict each other.
create table identity.conflict (
    object varchar not null,
    unified_id varchar not null
);

alter table identity.run add column program_version varchar;
alter table identity.run add column way varchar;
alter table identity.run add column way_reason varchar;
alter table identity.run add column changed_records bigint;
alter table identity.run add column resolved_records bigint;

-- Whether a value is left out by the ruleset's section `shared`, or by how many records
-- a rule or a blocking key may bring together.
alter table identity.shared_identifier add column cap varchar;
