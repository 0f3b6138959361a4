-- Which functions this database can work with (memoria/agreement.py): made_for, and the oldest agreement of
-- functions that are still served. A migration that old functions can live with leaves works_with as it is.
create function memoria.agreement() returns jsonb
language sql immutable set search_path = '' as $$
  select '{"made_for": 1, "works_with": 1}'::jsonb
$$;
