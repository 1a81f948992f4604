-- What each incremental model was built with, and the last load it holds: written in the
-- transaction of its rows. A model without a row is built in full.
create table ops.model_state (
    model varchar not null,
    definition varchar not null,
    mark bigint not null
);
