-- A new face's id is found at the first try: making a thousand candidates for each face took the
-- database 6.6 ms a face, now 0.3.

-- The first id of a box in a photo that no stored face bears: one whose box has moved away since
-- keeps its id. p_turn parts equal boxes of one result.
create function memoria.free_face_id(
  p_media_id text, x real, y real, w real, h real, p_turn bigint
) returns uuid
language plpgsql stable set search_path = '' as $$
declare
  v_turn bigint := p_turn;
  v_id uuid := memoria.new_face_id(p_media_id, x, y, w, h, v_turn);
begin
  while exists (select from memoria.faces where id = v_id) loop
    v_turn := v_turn + 1;
    v_id := memoria.new_face_id(p_media_id, x, y, w, h, v_turn);
  end loop;
  return v_id;
end
$$;

-- Replaces the stored faces of a photo by those of a result. Returns the id of each in order, null
-- for who is forgotten. As in media_results, but for the id.
create or replace function memoria.replace_faces(
  p_media_id text, p_event_id text, p_model text, p_faces jsonb
) returns uuid[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
begin
  with matched as (
    select * from memoria.matched_faces(p_media_id, p_faces)
  ), numbered as (
    select new.*, matched.face_id, matched.n is not null as known,
      row_number() over (partition by new.x, new.y, new.w, new.h order by new.n) as turn
    from memoria.parsed_faces(p_faces) as new left join matched using (n)
  ), named as (
    select numbered.*, case
      when known then face_id
      else memoria.free_face_id(p_media_id, x, y, w, h, turn)
    end as id
    from numbered
  ), gone as (
    delete from memoria.faces
    where media_id = p_media_id and id not in (select face_id from matched where face_id is not null)
  ), kept as (
    update memoria.faces set
      x = named.x, y = named.y, w = named.w, h = named.h, landmarks = named.landmarks,
      score = named.score, quality = named.quality, model = p_model, embedding = named.embedding
    from named where known and faces.id = named.id
  ), added as (
    insert into memoria.faces
      (id, event_id, media_id, x, y, w, h, landmarks, score, quality, model, embedding)
    select id, p_event_id, p_media_id, x, y, w, h, landmarks, score, quality, p_model, embedding
    from named where not known
  )
  select coalesce(array_agg(id order by n), '{}') into v_ids from named;
  -- corrections outlive the rows they were made on: they follow the box
  update memoria.corrections set face_id = faces.id
  from memoria.faces
  where corrections.media_id = p_media_id and faces.media_id = p_media_id
    and not exists (select from memoria.faces as old where old.id = corrections.face_id)
    and memoria.iou(
      faces.x, faces.y, faces.w, faces.h, corrections.x, corrections.y, corrections.w, corrections.h
    ) >= 0.5;
  return v_ids;
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
