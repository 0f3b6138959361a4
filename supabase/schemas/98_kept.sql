-- Functions of the last release that nothing here asks any more, but a call that is under way while a migration
-- is applied: it goes on with the body that it began with. The next release drops them.

create function memoria.new_face_id(p_media_id text, x real, y real, w real, h real, p_turn bigint)
returns uuid
language sql immutable set search_path = '' as $$
  select memoria.new_face_id(p_media_id, null, x, y, w, h, p_turn)
$$;
