-- Faces that users draw, where no model found one. The box is kept as a correction, so that it survives
-- re-processing, archiving and a change of model; *process* reads the face in it where it can.

-- How many boxes of one photo may hold: a worker looks at each twelve times.
create function memoria.most_drawn() returns integer
language sql immutable set search_path = '' as $$
  select 50
$$;

-- Looks at a photo once more, which stays done meanwhile.
create function memoria.read_again(p_media_id text) returns void
language sql set search_path = '' as $$
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', media.event_id, media.id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media join memoria.events on events.id = media.event_id
  where media.id = p_media_id and media.status = 'completed' and events.status = 'open'
  on conflict do nothing
$$;

-- Faces appear where a change made a drawn box hold, and go where it withdrew it and no model found one.
-- Raises 409 where that is a photo's 51st, or is forgotten.
create function memoria.draw_faces(c memoria.changes) returns void
language plpgsql set search_path = '' as $$
declare
  v_drawn record;
  v_media memoria.media;
begin
  delete from memoria.faces using memoria.corrections as said
  where said.id = any (c.withdrew) and said.kind = 'drawn' and faces.id = said.face_id and not faces.detected;
  for v_drawn in
    select said.*, media.number, media.model from memoria.corrections as said
    join memoria.media on media.id = said.media_id
    where said.id = any (c.held) and said.kind = 'drawn' order by said.id
  loop
    if jsonb_array_length(memoria.drawn_in(v_drawn.media_id)) > memoria.most_drawn() then
      raise exception 'At most % faces may be drawn in a photo.', memoria.most_drawn() using errcode = 'PT409';
    end if;
    select * into v_media from memoria.media where id = v_drawn.media_id;
    if (memoria.face_at(v_media, to_jsonb(v_drawn))).is_forgotten then
      raise exception 'This face was forgotten.' using errcode = 'PT409';
    end if;
    insert into memoria.faces (
      id, event_id, media_id, media_number, x, y, w, h, score, quality, model, detected
    ) values (
      v_drawn.face_id, v_drawn.event_id, v_drawn.media_id, v_drawn.number, v_drawn.x, v_drawn.y, v_drawn.w,
      v_drawn.h, 0, 0, coalesce(v_drawn.model, ''), false
    ) on conflict (id) do nothing;
    perform memoria.read_again(v_drawn.media_id);
  end loop;
end
$$;

-- A box as users draw it: {"x", "y", "w", "h"}, fractions. Raises 400.
create function memoria.check_box(p_bbox jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if jsonb_typeof(p_bbox) is distinct from 'object' or exists (
    select from unnest(array['x', 'y', 'w', 'h']) as side
    where jsonb_typeof(p_bbox -> side) is distinct from 'number'
      or (p_bbox ->> side)::double precision not between 0 and 1
  ) or (p_bbox ->> 'w')::double precision < 0.001 or (p_bbox ->> 'h')::double precision < 0.001
    or (p_bbox ->> 'x')::double precision + (p_bbox ->> 'w')::double precision > 1.001
    or (p_bbox ->> 'y')::double precision + (p_bbox ->> 'h')::double precision > 1.001 then
    raise exception 'p_bbox is {"x", "y", "w", "h"}: fractions of the photo, within it.' using errcode = '22023';
  end if;
end
$$;

-- Of these faces and tombstones, the id of the one that a box is, or null; is_forgotten for a tombstone.
create function memoria.face_at(
  p_media memoria.media, p_bbox jsonb, out face_id uuid, out is_forgotten boolean
)
language sql stable set search_path = '' as $$
  select known.id, known.id is null
  from (
    select id, x, y, w, h from memoria.faces where media_id = p_media.id
    union all
    select null, x, y, w, h from memoria.forgotten_faces
    where event_id = p_media.event_id and picture = any (memoria.pictures_of(p_media.id, p_media.digest))
  ) as known, lateral (
    select memoria.iou(
      (p_bbox ->> 'x')::double precision, (p_bbox ->> 'y')::double precision,
      (p_bbox ->> 'w')::double precision, (p_bbox ->> 'h')::double precision, known.x, known.y, known.w, known.h
    ) as overlap
  ) as compared
  where overlap >= 0.5 order by overlap desc limit 1
$$;

-- A face that a user drew, and whose it is. Where a face is known already it is that one.
create function public.memoria_add_face(p_media_id text, p_bbox jsonb, p_person uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event constant memoria.events := memoria.lock_open_event(
    (select event_id from memoria.media where id = p_media_id), 'manage', 'photo'
  );
  v_media memoria.media;
  v_known record;
  v_person uuid;
  v_face uuid;
  c memoria.changes;
begin
  -- in that event, and not in one to which it went meanwhile
  select * into v_media from memoria.media where id = p_media_id and event_id = v_event.id;
  if not found then
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.check_box(p_bbox);
  if p_person is not null then
    v_person := (memoria.person_within(v_media.event_id, p_person)).id;
  end if;
  select * into v_known from memoria.face_at(v_media, p_bbox);
  if v_known.is_forgotten then
    raise exception 'This face was forgotten.' using errcode = 'PT409';
  end if;
  c := memoria.begin_change(v_media.event_id, 'drawn', v_person);
  v_face := v_known.face_id;
  if v_face is null then
    v_face := gen_random_uuid();
    insert into memoria.faces (
      id, event_id, media_id, media_number, x, y, w, h, score, quality, model, detected
    ) values (
      v_face, v_media.event_id, v_media.id, v_media.number, (p_bbox ->> 'x')::real, (p_bbox ->> 'y')::real,
      (p_bbox ->> 'w')::real, (p_bbox ->> 'h')::real, 0, 0, coalesce(v_media.model, ''), false
    );
  end if;
  c := memoria.say(c, 'drawn', array[v_face]);
  if v_person is not null then
    c := memoria.give_faces(c, array[v_face], v_person);
  end if;
  c.faces := 1;
  return jsonb_build_object(
    'face_id', v_face, 'change_id', memoria.finish_change(c),
    'person_id', (select person_id from memoria.faces where id = v_face)
  ) || case when v_person <> p_person then jsonb_build_object('is_now', v_person) else '{}' end;
end
$$;
