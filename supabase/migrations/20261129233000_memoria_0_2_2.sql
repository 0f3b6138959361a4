-- 0.2.2.

-- Photos of which somebody was forgotten who had been drawn there: a drawn face was never counted, but was taken off.
update memoria.media set faces_detected = found.faces
from (select media_id, count(*) filter (where detected) as faces from memoria.faces group by media_id) as found
where found.media_id = media.id and faces_detected < found.faces;
update memoria.media set faces_detected = 0 where faces_detected < 0;

-- Functions that changed: written by python -m local.changes.

drop function if exists memoria.lock_events_of(memoria.handed[],text);

drop function if exists memoria.evidence_item(jsonb);

drop function if exists memoria.store_groups(text,jsonb,uuid[]);

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
