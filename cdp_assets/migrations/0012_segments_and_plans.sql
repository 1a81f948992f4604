-- When each segment was last evaluated, by which definition: what is due follows from it.
-- Rewritten by delete and insert, so no primary key (see 0001).
create table segments.evaluation (
    segment varchar not null,
    run bigint not null,
    as_of timestamp not null,
    definition varchar not null
);

-- A plan above its activation's caps: nothing of it was planned, and somebody is asked.
create table activation.held_plan (
    activation varchar not null,
    run bigint not null,
    held_at timestamp not null,
    adds bigint not null,
    updates bigint not null,
    removes bigint not null,
    -- People the destination may hold because of us: what the share is of.
    held_people bigint not null,
    reason varchar not null
);

-- When an activation of mode full last sent everybody.
create table activation.full_send (
    activation varchar not null,
    run bigint not null,
    as_of timestamp not null
);
