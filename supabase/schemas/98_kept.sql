-- Functions of the last release that nothing here asks any more, but a call that is under way while a migration
-- is applied: it goes on with the body that it began with. The next release drops them.

create function memoria.lock_events_of(p_rows memoria.handed[], p_source text) returns void
language sql set search_path = '' as $$
  select memoria.lock_events_of_rows(array(select media_id from unnest(changed)), changed)
  from memoria.differing(p_rows, p_source) as changed
$$;

create function memoria.store_groups(p_event_id text, p_groups jsonb, p_kept uuid[]) returns void
language sql set search_path = '' as $$
  select memoria.store_groups(p_event_id, p_groups, p_kept, '{}')
$$;

create function memoria.evidence_item(p_pair jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.evidence_item(event_id, p_pair) from memoria.faces where id = (p_pair ->> 'face_id')::uuid
$$;
