-- Who was in at its last evaluation, of segments with a period of their own. Until the
-- next one, membership follows from it and from who these people are by now.
create table segments.evaluated_stay (
    segment varchar not null,
    unified_individual_id varchar not null,
    entered_at timestamp not null,
    entered_run bigint not null
);
