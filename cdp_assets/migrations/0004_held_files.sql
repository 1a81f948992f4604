-- Full extracts that would have deleted too much wait in ops.landed_file as 'held'.
alter table ops.load add column held_files bigint default 0;
