-- Functions of the last release that nothing here asks any more, but a call that is under way while a migration
-- is applied: it goes on with the body that it began with. The next release drops them.

create function memoria.new_face_id(p_media_id text, x real, y real, w real, h real, p_turn bigint)
returns uuid
language sql immutable set search_path = '' as $$
  select memoria.new_face_id(p_media_id, null, x, y, w, h, p_turn)
$$;

create function memoria.check_pending(p_event_id text, p_more integer) returns void
language sql stable set search_path = '' as $$
  select memoria.check_pending(p_event_id, array_fill(null::memoria.handed, array[p_more]))
$$;

create function memoria.retry_all(p_relation text, p_late bigint[]) returns void
language sql set search_path = '' as $$
  select memoria.retry_all(p_relation, p_late, to_regclass(p_relation))
$$;
