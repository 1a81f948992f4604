-- Where the rows of a loaded file are now. Both null: in the file itself, under landing.
alter table ops.landed_file add column compacted_into varchar;
alter table ops.landed_file add column expired_at timestamp;
