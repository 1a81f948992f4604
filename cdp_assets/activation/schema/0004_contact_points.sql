-- A change waits for earlier ones to the same contact point; looked for at every claim.
create index outbox_contact_point
    on outbox (activation, contact_point_value, sequence)
    where state in ('pending', 'delivering');
