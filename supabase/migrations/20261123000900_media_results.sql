-- The faces of one photo, written in one transaction; doing it twice changes nothing.

-- Intersection over union of two boxes (x, y, w, h).
create function memoria.iou(
  ax double precision, ay double precision, aw double precision, ah double precision,
  bx double precision, by double precision, bw double precision, bh double precision
) returns double precision
language sql immutable set search_path = '' as $$
  with parts as (
    select
      greatest(0, least(ax + aw, bx + bw) - greatest(ax, bx))
        * greatest(0, least(ay + ah, by + bh) - greatest(ay, by)) as common,
      aw * ah + bw * bh as both_areas
  )
  select case when both_areas > common then common / (both_areas - common) else 0 end from parts
$$;

-- The faces of a result as rows, numbered in their order.
create function memoria.parsed_faces(p_faces jsonb) returns table (
  n integer, x real, y real, w real, h real, landmarks real[], score real, quality real,
  embedding extensions.vector
)
language sql immutable set search_path = '' as $$
  select
    number::integer,
    (face #>> '{bbox,x}')::real, (face #>> '{bbox,y}')::real,
    (face #>> '{bbox,w}')::real, (face #>> '{bbox,h}')::real,
    array(select jsonb_array_elements_text(face -> 'landmarks')::real),
    (face ->> 'score')::real, (face ->> 'quality_score')::real,
    (face ->> 'embedding')::extensions.vector
  from jsonb_array_elements(p_faces) with ordinality as item(face, number)
$$;

-- Which stored face each new face is: one to one, best overlap first, at least one half. A tombstone
-- takes its face like a stored one does, and answers null.
create function memoria.matched_faces(p_media_id text, p_faces jsonb)
returns table (n integer, face_id uuid)
language plpgsql stable set search_path = '' as $$
declare
  v_pair record;
  v_new integer[] := '{}';
  v_old text[] := '{}';
begin
  for v_pair in
    with known as (
      select faces.id as face_id, faces.id::text as key, x, y, w, h
      from memoria.faces where media_id = p_media_id
      union all
      select null, id::text, x, y, w, h from memoria.forgotten_faces where media_id = p_media_id
    ), pairs as (
      select new.n, known.face_id, known.key,
        memoria.iou(new.x, new.y, new.w, new.h, known.x, known.y, known.w, known.h) as overlap
      from memoria.parsed_faces(p_faces) as new join known
        on new.x < known.x + known.w and known.x < new.x + new.w
        and new.y < known.y + known.h and known.y < new.y + new.h
    )
    select * from pairs where overlap >= 0.5 order by overlap desc, pairs.n, key
  loop
    if not (v_pair.n = any (v_new) or v_pair.key = any (v_old)) then
      v_new := v_new || v_pair.n;
      v_old := v_old || v_pair.key;
      n := v_pair.n;
      face_id := v_pair.face_id;
      return next;
    end if;
  end loop;
end
$$;

-- The id of a face that was not there before: the same photo and box give the same id, so that a
-- result written twice by mistake cannot make two faces. p_turn parts equal boxes.
create function memoria.new_face_id(p_media_id text, x real, y real, w real, h real, p_turn bigint)
returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_media_id, round(x::numeric, 4), round(y::numeric, 4),
      round(w::numeric, 4), round(h::numeric, 4), p_turn),
    'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

-- Replaces the stored faces of a photo by those of a result. Returns the id of each in order, null
-- for who is forgotten.
create function memoria.replace_faces(p_media_id text, p_event_id text, p_model text, p_faces jsonb)
returns uuid[]
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
      else (
        -- an id whose box has moved away since is not free for another face
        select candidate from generate_series(turn, turn + 1000) as t,
          memoria.new_face_id(p_media_id, x, y, w, h, t) as candidate
        where not exists (select from memoria.faces where id = candidate) order by t limit 1
      )
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

-- The response contract without embeddings, and without whoever is forgotten.
create function memoria.media_payload(p_job memoria.jobs, p_result jsonb, p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'job_id', p_job.id, 'media_id', p_job.media_id, 'event_id', p_job.event_id,
    'faces_detected', count(*), 'faces', coalesce(jsonb_agg(jsonb_build_object(
      'bbox', face -> 'bbox', 'quality_score', face -> 'quality_score',
      'landmarks', memoria.named_landmarks(
        array(select jsonb_array_elements_text(face -> 'landmarks')::real)
      )
    ) order by n), '[]'),
    'processing_time_seconds', p_result -> 'processing_time_seconds', 'status', 'completed'
  )
  from jsonb_array_elements(p_result -> 'faces') with ordinality as item(face, n)
  where p_ids[n] is not null
$$;

create function public.memoria_complete_media(p_job_id uuid, p_token uuid, p_result jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_job memoria.jobs := memoria.lock_run(p_job_id, p_token);
  v_ids uuid[];
  v_stored integer;
begin
  if v_job.id is null or v_job.kind <> 'process' then
    return memoria.why_lost(p_job_id);
  end if;
  v_ids := memoria.replace_faces(
    v_job.media_id, v_job.event_id, p_result ->> 'model', p_result -> 'faces'
  );
  v_stored := cardinality(array_remove(v_ids, null));
  update memoria.media set
    status = 'completed', completed_at = clock_timestamp(), error_code = null, error_message = null,
    model = p_result ->> 'model', width = (p_result ->> 'width')::integer,
    height = (p_result ->> 'height')::integer, faces_detected = v_stored
  where id = v_job.media_id;
  perform memoria.settle_event(v_job.event_id);
  return jsonb_build_object(
    'outcome', 'stored', 'faces_stored', v_stored, 'face_ids', to_jsonb(v_ids),
    'callback_job_id', memoria.finish_job(v_job, memoria.media_payload(v_job, p_result, v_ids))
  );
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function public.memoria_complete_media(uuid, uuid, jsonb) from public, anon, authenticated;
grant execute on function public.memoria_complete_media(uuid, uuid, jsonb) to service_role;
