-- 0.2.2.

-- Photos of which somebody was forgotten who had been drawn there: a drawn face was never counted, but was taken off.
update memoria.media set faces_detected = found.faces
from (select media_id, count(*) filter (where detected) as faces from memoria.faces group by media_id) as found
where found.media_id = media.id and faces_detected < found.faces;
update memoria.media set faces_detected = 0 where faces_detected < 0;

-- Functions that changed: written by python -m local.changes.

drop function if exists memoria.evidence_item(jsonb);

drop function if exists memoria.lock_events_of(memoria.handed[],text);

drop function if exists memoria.store_groups(text,jsonb,uuid[]);

-- Locks an event for a change that the caller may make, before and after waiting for it. Raises 404.
create or replace function memoria.lock_event_for(p_event_id text, p_right text, p_what text default 'event')
returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
begin
  perform memoria.authorize(p_event_id, p_right, p_what);
  v_event := memoria.lock_event(p_event_id);
  if v_event.id is null then
    perform memoria.refuse_unknown(p_what);
  end if;
  perform memoria.authorize(p_event_id, p_right, p_what);
  return v_event;
end
$$;

-- The id of a face that was not there before: the same photo, picture and box give the same id, so that a
-- result written twice by mistake cannot make two faces. A face on another picture in its place is another one,
-- whoever still knows the id of the first: a run, a search. p_turn parts boxes that round to the same.
create or replace function memoria.new_face_id(
  p_media_id text, p_digest text, x real, y real, w real, h real, p_turn bigint
) returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_media_id, p_digest, round(x::numeric, 4), round(y::numeric, 4),
      round(w::numeric, 4), round(h::numeric, 4), p_turn),
    'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

revoke all on function memoria.new_face_id(text,text,real,real,real,real,bigint) from public, anon, authenticated, service_role;

-- The ids of a result's faces in their order: of who is known theirs, of who is forgotten null, of the
-- others the first that no stored face bears and no face before it took.
create or replace function memoria.face_ids(p_media memoria.media, p_digest text, p_faces jsonb) returns uuid[]
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

-- What users said was of the picture that lay here before, but for the faces that they drew on the one now.
create or replace function memoria.forget_picture(p_media memoria.media) returns void
language sql set search_path = '' as $$
  delete from memoria.corrections as said
  where media_id = p_media.id and not exists (
    select from memoria.corrections as drawn
    where drawn.face_id = said.face_id and drawn.kind = 'drawn' and drawn.created_at > p_media.placed_at
  )
$$;

revoke all on function memoria.forget_picture(memoria.media) from public, anon, authenticated, service_role;

-- Replaces the stored faces of a photo by those of a result. Returns the id of each in order, null
-- for who is forgotten.
create or replace function memoria.replace_faces(p_media memoria.media, p_result jsonb) returns uuid[]
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

-- One page of faces, ascending by id: one value per column, packed big-endian, so that 20,000 faces
-- are ten values and not 10 million numbers.
create or replace function public.memoria_load_faces(
  p_event_id text, p_after uuid default null, p_limit integer default 2000
) returns jsonb
language sql stable security definer
set search_path = ''
set statement_timeout = '60s'
as $$
  with page as materialized (
    select id, media_id, identity_id, quality, model, embedding
    from memoria.faces
    where event_id = p_event_id
      and embedding is not null and dismissed is null
      and id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
    order by id
    limit least(greatest(p_limit, 1), 10000)
  ), models as materialized (
    select model, row_number() over (order by model) - 1 as index
    from (select distinct model from page) as used
  ), packed as (
    select
      count(*) as count,
      (array_agg(id order by id desc))[1] as last,
      string_agg(uuid_send(id), '' order by id) as faces,
      string_agg(int8send(hashtextextended(media_id, 0)), '' order by id) as photos,
      string_agg(
        uuid_send(coalesce(identity_id, '00000000-0000-0000-0000-000000000000')), '' order by id
      ) as identities,
      string_agg(float4send(quality), '' order by id) as quality,
      string_agg(set_byte('\x00', 0, index::integer), '' order by id) as model_index,
      -- pgvector sends two 16-bit numbers, its dimensions and a reserved one, before the values
      string_agg(substring(extensions.vector_send(embedding) from 5), '' order by id) as vectors
    from page join models using (model)
  )
  select jsonb_build_object(
    'total', case when p_after is null then (
      select count(*) from memoria.faces
      where event_id = p_event_id and embedding is not null and dismissed is null
    ) end,
    'count', count,
    'next', case when count >= least(greatest(p_limit, 1), 10000) then last end,
    'models', (select coalesce(jsonb_agg(model order by index), '[]') from models),
    'faces', encode(faces, 'base64'),
    'photos', encode(photos, 'base64'),
    'identities', encode(identities, 'base64'),
    'quality', encode(quality, 'base64'),
    'model_index', encode(model_index, 'base64'),
    'vectors', encode(vectors, 'base64')
  )
  from packed
$$;

create or replace function memoria.put_value(p_change memoria.changes, p_key text, p_value jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_what text := split_part(p_key, '/', 1);
  v_id uuid := split_part(p_key, '/', 2)::uuid;
  v_text text := p_value #>> '{}';
  v_nobodys uuid[];
begin
  if v_what = 'name' then
    update memoria.persons set name = v_text where id = v_id;
  elsif v_what = 'hidden' then
    update memoria.persons set hidden = v_text::boolean where id = v_id;
  elsif v_what = 'nobody' then
    update memoria.persons set nobody = v_text::boolean where id = v_id;
  elsif v_what = 'merged' then
    update memoria.persons set merged_into = v_text::uuid where id = v_id;
  elsif v_what = 'shown' then
    update memoria.persons set representative_face_id = v_text::uuid where id = v_id;
  elsif v_what = 'answer' then
    update memoria.suggestions as asked
    set answer = v_text, answered_by = case when v_text is not null then p_change.id end,
      asleep_at = case when v_text = 'not_sure' then memoria.faces_asked_about(asked) end
    where id = v_id;
  elsif v_what = 'apart' and v_text::boolean then
    insert into memoria.distinct_people (event_id, one_id, other_id)
    values (p_change.event_id, v_id, split_part(p_key, '/', 3)::uuid) on conflict do nothing;
  elsif v_what = 'apart' then
    delete from memoria.distinct_people where one_id = v_id and other_id = split_part(p_key, '/', 3)::uuid;
  elsif v_what = 'made' and v_text::boolean then
    insert into memoria.persons (id, event_id) values (v_id, p_change.event_id) on conflict do nothing;
  elsif v_what = 'made' then
    -- nobody is seen as this person any more; the row waits for the change to be made again. A run may have added
    -- faces of which users said that they are not the other's: those are nobody's.
    with taken as (
      update memoria.faces
      set identity_id = anew.identity_id, person_id = memoria.root_of(anew.identity_id)
      from (
        select id, case when not exists (
          select from memoria.corrections as said
          where said.face_id = faces.id and said.kind = 'reject' and said.withdrawn_by is null
            and memoria.root_of(said.person_id) = memoria.root_of(p_change.other_person_id)
        ) then p_change.other_person_id end as identity_id
        from memoria.faces where identity_id = v_id
      ) as anew
      where faces.id = anew.id
      returning faces.id, faces.identity_id
    )
    select array(select id from taken where identity_id is null) into v_nobodys;
    if not v_nobodys <@ memoria.faces_of_change(p_change) then
      perform memoria.settle_event(p_change.event_id); -- a run says whose those are that runs have added
    end if;
  end if;
end
$$;

create or replace function public.memoria_event_status(p_event_id text) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  v_event memoria.events;
  v_photos jsonb;
  v_people record;
  v_clustering text;
begin
  -- before anything is counted: how long that takes would tell whether the event is there
  perform memoria.authorize(p_event_id, 'view');
  select * into v_event from memoria.events where id = p_event_id;
  v_photos := memoria.photo_counts(p_event_id);
  v_people := memoria.people_counts(p_event_id);
  v_clustering := memoria.clustering_state(p_event_id);
  return jsonb_build_object(
    'event_id', p_event_id, 'status', coalesce(v_event.status, 'open'), 'clustered_at', v_event.clustered_at,
    'photos', v_photos,
    'faces', (select count(*) from memoria.faces where event_id = p_event_id),
    'people', v_people.shown, 'hidden_people', v_people.hidden,
    'clustering', v_clustering,
    'clustering_error', case when v_clustering in ('failed', 'needs_memory') then (
      select jsonb_build_object('code', error_code, 'message', error_message) from memoria.jobs
      where event_id = p_event_id and kind = 'cluster' and error_code is not null
        and (waiting and finished_at is null or status = 'failed')
      order by finished_at desc nulls first limit 1
    ) end,
    -- nothing is left to do, and the people are those of all photos and of the faces that were drawn
    'done', v_photos ->> 'pending' = '0' and v_clustering = 'idle' and not exists (
      select from memoria.jobs
      where event_id = p_event_id and kind = 'process' and status in ('queued', 'dispatched', 'running')
    ) and not exists (
      select from memoria.hand_overs where event_id = p_event_id and failed and code = 'not_handed_over'
    ),
    'version', coalesce(v_event.people_version + v_event.photos_version, 0),
    'failures', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'media_id', id, 'code', error_code, 'message', error_message
      ) order by number), '[]')
      from (
        select * from memoria.media where event_id = p_event_id and status = 'failed' order by number limit 1000
      ) as failed
    ),
    -- what something outside keeps from being looked at: it is tried again
    'waiting', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'media_id', media_id, 'code', error_code, 'message', error_message, 'since', waiting_since
      ) order by waiting_since, media_id), '[]')
      from (
        select * from memoria.jobs
        where event_id = p_event_id and kind = 'process' and waiting_since is not null and finished_at is null
        order by waiting_since, media_id limit 100
      ) as held_up
    ),
    'not_handed_over', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'media_id', row_id, 'code', code, 'message', message, 'at', created_at
      ) order by id), '[]')
      from (
        select * from (
          -- the last of each row
          select distinct on (row_id, code) * from memoria.hand_overs
          where event_id = p_event_id order by row_id, code, id desc
        ) as each_once
        order by id limit 100
      ) as told
    )
  );
end
$$;

-- Removes an event with everything in it.
create or replace function public.memoria_delete_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.authorize(p_event_id, 'manage');
  -- the strongest lock at once: taken in two steps it meets whoever is adding a photo
  perform from memoria.events where id = p_event_id for update;
  if not found then
    perform memoria.refuse_unknown('event');
  end if;
  perform memoria.authorize(p_event_id, 'manage');
  delete from memoria.hand_overs where event_id = p_event_id;
  delete from memoria.events where id = p_event_id;
  return jsonb_build_object('event_id', p_event_id, 'deleted', true);
end
$$;

create or replace function public.memoria_forget_person(p_person_id uuid) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_person memoria.persons;
  v_people uuid[];
  v_faces uuid[];
  v_media text[];
  v_event memoria.events;
begin
  -- an archived event still knows names: forgetting works there too
  v_event := memoria.lock_event_for(
    (select event_id from memoria.persons where id = p_person_id), 'manage', 'person'
  );
  v_person := memoria.person_within(v_event.id, p_person_id);
  perform memoria.check_id_of_today(p_person_id, v_person);
  v_people := array(
    select id from memoria.persons where v_person.id in (id, merged_into)
  );
  v_faces := array(
    select id from memoria.faces
    where event_id = v_event.id and (
      person_id = any (v_people) or identity_id = any (v_people)
      -- found again by a later model, and not looked at by a run since
      or id in (
        select face_id from memoria.corrections
        where kind = 'pin' and withdrawn_by is null and person_id = any (v_people)
      )
    )
  );
  v_faces := v_faces || memoria.faces_on_copies(v_event.id, v_faces);
  v_media := array(select distinct media_id from memoria.faces where id = any (v_faces));

  insert into memoria.forgotten_faces (event_id, picture, x, y, w, h)
  select v_event.id, coalesce(media.digest, 'media:' || media.id), box.x, box.y, box.w, box.h
  from (
    select media_id, x, y, w, h from memoria.faces where id = any (v_faces)
    union all
    -- a pinned face that a later model missed may be found again by the next
    select media_id, x, y, w, h from memoria.corrections
    where kind = 'pin' and withdrawn_by is null and person_id = any (v_people) and face_id <> all (v_faces)
  ) as box join memoria.media on media.id = box.media_id;
  perform memoria.purge_changes(v_event.id, v_people, v_faces || array(
    select face_id from memoria.corrections
    where kind = 'pin' and withdrawn_by is null and person_id = any (v_people)
  ));
  update memoria.media set faces_detected = faces_detected - gone.faces
  from (
    select media_id, count(*) as faces from memoria.faces where id = any (v_faces) and detected group by media_id
  ) as gone
  where media.id = gone.media_id;
  delete from memoria.faces where id = any (v_faces);
  delete from memoria.persons where id = any (v_people);
  perform memoria.refresh_people(memoria.people_of_event(v_event.id));
  perform memoria.purge_derived(v_event.id, v_people, v_faces, v_media);
  insert into memoria.changes (event_id, kind, made_by)
  values (v_event.id, 'forgotten', (select auth.uid()));
  perform memoria.touch_people(v_event.id);
  perform memoria.touch_photos(v_event.id);
  if v_event.status = 'open' then
    -- groups that held together by the forgotten faces fall apart without them
    perform memoria.settle_event(v_event.id);
  end if;
  return jsonb_build_object('person_id', v_person.id, 'faces_forgotten', cardinality(v_faces));
end
$$;

-- Faces appear where a change made a drawn box hold, and go where it withdrew it and no model found one.
-- Raises 409 where that is a photo's 51st, or is forgotten.
create or replace function memoria.draw_faces(c memoria.changes) returns void
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

-- For one signed-in (or anonymous, but known to Auth) guest, for a quarter of an hour.
create or replace function public.memoria_open_search(p_event_id text, p_consent text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token text := memoria.new_token();
  v_user uuid := (select auth.uid());
  v_link memoria.search_links;
begin
  perform memoria.lock_open_event(p_event_id, 'search');
  if v_user is null then
    perform memoria.refuse_unknown('event');
  elsif p_consent is distinct from memoria.setting('search_consent_version') #>> '{}' then
    raise exception 'Consent to the current text is required.'
    using errcode = 'PT403', detail = '{"code": "consent_required"}';
  elsif (
    select count(*) from memoria.search_links
    where event_id = p_event_id and user_id = v_user and created_at > clock_timestamp() - interval '15 minutes'
  ) >= 20 then
    raise exception 'Enough searches were opened: try again in some minutes.' using errcode = 'PT429';
  end if;
  insert into memoria.search_links (
    event_id, token_hash, user_id, created_by, expires_at, max_searches, per_guest, people_per_guest
  ) values (
    p_event_id, memoria.token_hash(v_token), v_user, v_user,
    clock_timestamp() + interval '15 minutes', 10, 10, 3
  ) returning * into v_link;
  return jsonb_build_object(
    'token', v_token, 'expires_at', v_link.expires_at, 'search_consent_version', p_consent
  );
end
$$;

-- Repairs what got lost and hands out what has become due; safe to run at any time, by anyone, twice.
create or replace function public.memoria_sweep() returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
set jit = off
as $$
declare
  v_event record;
  v_handed_over integer;
  v_report jsonb := '{"refused": 0, "runs_expired": 0, "nudges_expired": 0, "media_found": 0, "revived": 0, "cancelled": 0}';
  v_done jsonb;
begin
  update memoria.sweeps set swept_at = clock_timestamp() where only_one in (
    select only_one from memoria.sweeps for no key update skip locked
  );
  -- this waits for events: while none is held
  v_handed_over := memoria.retry_hand_overs();
  for v_event in select * from memoria.repairs() loop
    perform from memoria.events where id = v_event.event_id for no key update skip locked;
    continue when not found;
    begin
      v_done := memoria.repair_event(v_event.event_id, v_event.refused, v_event.revivable);
    exception when others then
      raise warning 'event % could not be repaired: %', v_event.event_id, sqlerrm;
      continue;
    end;
    v_report := (
      select jsonb_object_agg(key, value::integer + (v_done ->> key)::integer) from jsonb_each_text(v_report)
    );
  end loop;
  v_report := v_report || jsonb_build_object(
    'handed_over', v_handed_over, 'dispatches_pruned', memoria.prune_dispatches()
  );
  begin
    perform memoria.archive_one_due();
  exception when others then
    raise warning 'no event could be archived: %', sqlerrm;
  end;
  perform memoria.prune_searches();
  perform memoria.prune_changes();
  perform memoria.find_arrivals();
  v_report := v_report || jsonb_build_object('dispatched', jsonb_build_object(
    'process', memoria.dispatch('process'),
    'cluster', memoria.dispatch('cluster'),
    'callback', memoria.dispatch('callback')
  ));
  if current_setting('transaction_isolation') = 'read committed' then
    perform memoria.prune_lanes();
  end if;
  return v_report;
end
$$;

create or replace function memoria.new_face_id(p_media_id text, x real, y real, w real, h real, p_turn bigint)
returns uuid
language sql immutable set search_path = '' as $$
  select memoria.new_face_id(p_media_id, null, x, y, w, h, p_turn)
$$;
