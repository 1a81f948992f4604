-- Batches that were begun are looked for at every claim: without an index, among all
-- that waits.
create index outbox_begun on outbox (activation, sequence)
    where state = 'pending' and batch is not null;
