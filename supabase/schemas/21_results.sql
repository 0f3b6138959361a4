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

-- What tombstones of a photo are kept under: its bytes, and its id for where the bytes are not known.
create function memoria.pictures_of(p_media_id text, p_digest text) returns text[]
language sql immutable set search_path = '' as $$
  select array_remove(array['media:' || p_media_id, p_digest], null)
$$;

-- Which stored face each new face is: one to one, best overlap first, at least one half. A tombstone
-- takes its face like a stored one does, and answers null. Where the picture is another one, no stored
-- face is the same.
create function memoria.matched_faces(
  p_media memoria.media, p_digest text, p_faces jsonb
) returns table (n integer, face_id uuid)
language plpgsql stable set search_path = '' as $$
declare
  v_pair record;
  v_new integer[] := '{}';
  v_old text[] := '{}';
begin
  for v_pair in
    with known as (
      select faces.id as face_id, faces.id::text as key, x, y, w, h
      from memoria.faces
      where media_id = p_media.id and (p_media.digest = p_digest) is not false
      union all
      select null, id::text, x, y, w, h from memoria.forgotten_faces
      where event_id = p_media.event_id and picture = any (memoria.pictures_of(p_media.id, p_digest))
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

-- The id of a face that was not there before: the same photo, picture and box give the same id, so that a
-- result written twice by mistake cannot make two faces. A face on another picture in its place is another one,
-- whoever still knows the id of the first: a run, a search. p_turn parts boxes that round to the same.
create function memoria.new_face_id(
  p_media_id text, p_digest text, x real, y real, w real, h real, p_turn bigint
) returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_media_id, p_digest, round(x::numeric, 4), round(y::numeric, 4),
      round(w::numeric, 4), round(h::numeric, 4), p_turn),
    'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

-- The ids of a result's faces in their order: of who is known theirs, of who is forgotten null, of the
-- others the first that no stored face bears and no face before it took.
create function memoria.face_ids(p_media memoria.media, p_digest text, p_faces jsonb) returns uuid[]
language plpgsql stable set search_path = '' as $$
declare
  v_face record;
  v_ids uuid[] := '{}';
  v_id uuid;
  v_turn bigint;
begin
  for v_face in
    select new.n, new.x, new.y, new.w, new.h, matched.n is not null as known, matched.face_id
    from memoria.parsed_faces(p_faces) as new
    left join memoria.matched_faces(p_media, p_digest, p_faces) as matched using (n)
    order by new.n
  loop
    v_id := v_face.face_id;
    if not v_face.known then
      v_turn := 0;
      loop
        v_turn := v_turn + 1;
        v_id := memoria.new_face_id(
          p_media.id, p_digest, v_face.x, v_face.y, v_face.w, v_face.h, v_turn
        );
        exit when v_id <> all (array_remove(v_ids, null))
          and not exists (select from memoria.faces where id = v_id);
      end loop;
    end if;
    v_ids := v_ids || v_id;
  end loop;
  return v_ids;
end
$$;

-- What the worker read in boxes that users drew, and that no face of the result is: no vector where there
-- is nothing to be read, or where the worker did not know of the box yet.
create function memoria.read_drawn(p_media memoria.media, p_result jsonb, p_ids uuid[]) returns void
language sql set search_path = '' as $$
  update memoria.faces set
    detected = false, model = p_result ->> 'model', embedding = (body ->> 'embedding')::extensions.vector,
    score = coalesce((body ->> 'score')::real, 0), quality = coalesce((body ->> 'quality_score')::real, 0),
    landmarks = case when body ? 'landmarks' then
      array(select jsonb_array_elements_text(body -> 'landmarks')::real)
    end
  from memoria.faces as face
  left join jsonb_array_elements(p_result -> 'drawn') as body on (body ->> 'face_id')::uuid = face.id
  where faces.id = face.id and face.media_id = p_media.id and face.id <> all (array_remove(p_ids, null))
$$;

-- What users said was of the picture that lay here before, but for the faces that they drew on the one now.
create function memoria.forget_picture(p_media memoria.media) returns void
language sql set search_path = '' as $$
  delete from memoria.corrections as said
  where media_id = p_media.id and not exists (
    select from memoria.corrections as drawn
    where drawn.face_id = said.face_id and drawn.kind = 'drawn' and drawn.created_at > p_media.placed_at
      -- of an object that was overwritten in its place nobody knows when
      and p_media.placed_at > p_media.looked_at
    offset 0  -- each by its key
  )
$$;

-- Replaces the stored faces of a photo by those of a result. Returns the id of each in order, null
-- for who is forgotten.
create function memoria.replace_faces(p_media memoria.media, p_result jsonb) returns uuid[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[] := memoria.face_ids(p_media, p_result ->> 'digest', p_result -> 'faces');
begin
  if p_media.digest <> p_result ->> 'digest' then
    perform memoria.forget_picture(p_media);
  end if;
  delete from memoria.faces where media_id = p_media.id and id <> all (array_remove(v_ids, null))
    and not exists (
      select from memoria.corrections as said
      where said.face_id = faces.id and said.kind = 'drawn' and said.withdrawn_by is null
      offset 0  -- each by its key
    );
  insert into memoria.faces (
    id, event_id, media_id, media_number, x, y, w, h, landmarks, score, quality, model, embedding
  )
  select
    v_ids[n], p_media.event_id, p_media.id, p_media.number, x, y, w, h, landmarks, score, quality,
    p_result ->> 'model', embedding
  from memoria.parsed_faces(p_result -> 'faces') where v_ids[n] is not null
  on conflict (id) do update set
    x = excluded.x, y = excluded.y, w = excluded.w, h = excluded.h, landmarks = excluded.landmarks,
    score = excluded.score, quality = excluded.quality, model = excluded.model, embedding = excluded.embedding,
    detected = true;
  perform memoria.read_drawn(p_media, p_result, v_ids);
  -- corrections outlive the rows they were made on: they follow the box
  update memoria.corrections set face_id = faces.id
  from memoria.faces
  where corrections.media_id = p_media.id and faces.media_id = p_media.id
    and not exists (select from memoria.faces as old where old.id = corrections.face_id)
    and memoria.iou(
      faces.x, faces.y, faces.w, faces.h, corrections.x, corrections.y, corrections.w, corrections.h
    ) >= 0.5;
  perform memoria.mark_dismissed(array(select id from memoria.faces where media_id = p_media.id));
  return v_ids;
end
$$;

-- What a photo's callback tells: no embeddings, nobody who is forgotten.
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
    'photos', memoria.last_counts(p_job.event_id),
    'model', p_result -> 'model', 'processing_time_seconds', p_result -> 'processing_time_seconds',
    'status', 'completed'
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
  v_media memoria.media;
  v_people uuid[];
  v_ids uuid[];
  v_stored integer;
  v_callback uuid;
begin
  if v_job.id is null or v_job.kind <> 'process' then
    return memoria.why_lost(p_job_id);
  end if;
  select * into v_media from memoria.media where id = v_job.media_id;
  if memoria.is_moved(v_job) then
    perform memoria.begin_anew(v_job.id);
    return memoria.skipped('moved');
  end if;
  v_people := array(
    select distinct person_id from memoria.faces where media_id = v_media.id and person_id is not null
  );
  v_ids := memoria.replace_faces(v_media, p_result);
  v_stored := cardinality(array_remove(v_ids, null));
  update memoria.media set
    status = 'completed', completed_at = clock_timestamp(), looked_at = clock_timestamp(),
    error_code = null, error_message = null,
    digest = coalesce(p_result ->> 'digest', digest), model = p_result ->> 'model',
    width = (p_result ->> 'width')::integer, height = (p_result ->> 'height')::integer,
    faces_detected = v_stored
  where id = v_media.id;
  if cardinality(v_people) > 0 then
    perform memoria.refresh_people(v_people);
    perform memoria.review_suggestions(v_media.event_id, v_people, '{}');
    perform memoria.touch_people(v_media.event_id);
  end if;
  perform memoria.touch_photos(v_media.event_id);
  perform memoria.settle_event(v_media.event_id);
  v_callback := memoria.finish_job(v_job, memoria.media_payload(v_job, p_result, v_ids));
  if p_result ? 'drawn' and exists (
    select from jsonb_array_elements(memoria.drawn_in(v_media.id)) as wanted
    where not p_result -> 'drawn' @> jsonb_build_array(jsonb_build_object('face_id', wanted -> 'face_id'))
  ) then
    perform memoria.read_again(v_media.id);  -- drawn since the worker began
  end if;
  return jsonb_build_object(
    'outcome', 'stored', 'faces_stored', v_stored, 'face_ids', to_jsonb(v_ids), 'callback_job_id', v_callback
  );
end
$$;
