-- What is compared as plain text beside the attributes of the canonical model.
alter table identity.node add column attributes map(varchar, varchar);
