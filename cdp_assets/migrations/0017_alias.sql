-- A merge told to a destination that has a word for it: the change of the living person
-- names whom the destination knows so far, and where that one was reached, because
-- consent is asked for both.
alter table activation.planned add column previous_individual_id varchar;
alter table activation.planned add column previous_contact_point_type varchar;
alter table activation.planned add column previous_contact_point_value varchar;

-- Of an alias: who the destination is told that this person is now.
alter table activation.sent_state add column merged_into varchar;
