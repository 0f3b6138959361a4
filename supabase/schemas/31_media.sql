-- Photos come and go: one, many, or the rows of the app's own table.

-- A photo as it is handed over.
create type memoria.handed as (media_id text, event_id text, bucket text, path text, preview_path text);
create type memoria.refused as (media_id text, event_id text, code text, message text);

-- What is wrong with a photo as it is handed over, or null.
create function memoria.fault_of(p memoria.handed) returns text
language sql immutable set search_path = '' as $$
  select case
    when not memoria.is_id(p.media_id)
      then 'The id of a photo has 1 to 200 characters, none of them a control character.'
    when not memoria.is_id(p.event_id)
      then 'The id of an event has 1 to 200 characters, none of them a control character.'
    when not memoria.is_bucket(p.bucket)
      then 'The bucket is a name in Storage, or gs://name for Google Cloud Storage.'
    when not memoria.is_object_name(p.bucket, p.path)
      then 'The path has 1 to 1024 characters, no empty or dotted segment, no % and no control character.'
    when p.preview_path is not null and not memoria.is_object_name(p.bucket, p.preview_path)
      then 'The preview''s path has 1 to 1024 characters, no empty or dotted segment, no % and no control character.'
  end
$$;

-- Who is in photos, or was said to be.
create function memoria.people_in(p_media_ids text[]) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select person_id from memoria.faces where media_id = any (p_media_ids) and person_id is not null
    union
    select identity_id from memoria.faces where media_id = any (p_media_ids) and identity_id is not null
    union
    select person_id from memoria.corrections where media_id = any (p_media_ids) and person_id is not null
  )
$$;

-- What is kept of people some of whose faces have gone. The event is locked.
create function memoria.faces_are_gone(p_event_id text, p_people uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  if cardinality(p_people) > 0 then
    perform memoria.drop_empty_people(p_people);
    perform memoria.refresh_centroids(p_people);
    perform memoria.refresh_people(p_people);
    perform memoria.touch_people(p_event_id);
  end if;
  perform memoria.review_suggestions(p_event_id, p_people, '{}');
end
$$;

-- Removes photos of an event that is locked, with faces, corrections, jobs and callbacks; who remains is
-- grouped anew.
create function memoria.remove_media(p_event_id text, p_media_ids text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_people uuid[] := memoria.people_in(p_media_ids);
begin
  delete from memoria.media where event_id = p_event_id and id = any (p_media_ids);
  perform memoria.faces_are_gone(p_event_id, v_people);
  perform memoria.touch_photos(p_event_id);
  if exists (select from memoria.events where id = p_event_id and status = 'open') then
    perform memoria.settle_event(p_event_id, cardinality(v_people) > 0);
  end if;
end
$$;

-- Of a photo that cannot be read, the faces of the picture that it was before: they are on no picture that
-- anybody can see. Returns whether there were any. The event is locked.
create function memoria.remove_replaced_faces(p_event_id text, p_media_id text) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_people uuid[] := memoria.people_in(array[p_media_id]);
begin
  update memoria.media set
    looked_at = null, digest = null, model = null, width = null, height = null, faces_detected = null
  where id = p_media_id and placed_at > looked_at;
  if not found then
    return false;
  end if;
  delete from memoria.corrections where media_id = p_media_id;
  delete from memoria.faces where media_id = p_media_id;
  perform memoria.faces_are_gone(p_event_id, v_people);
  return true;
end
$$;

-- Of these photos, those that are known already and are not as they are given.
create function memoria.differing(p_rows memoria.handed[], p_source text) returns memoria.handed[]
language sql stable set search_path = '' as $$
  select array(
    select given
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    where (media.event_id, media.bucket, media.path, media.preview_path, media.source)
        is distinct from (given.event_id, given.bucket, given.path, given.preview_path, p_source)
      or (p_source is null and media.status <> 'completed')
  )
$$;

-- Locks, in the order of their ids, the events of photos with these ids and those that rows name: as whoever works
-- on several events does.
create function memoria.lock_events_of_rows(p_ids text[], p_rows memoria.handed[]) returns void
language sql set search_path = '' as $$
  select from memoria.events
  where id in (
    select event_id from memoria.media where id = any (p_ids) union select event_id from unnest(p_rows)
  )
  order by id for no key update
$$;

-- Writes down what could not be handed over, or whose row was taken over.
create function memoria.note_hand_overs(p_relation text, p_refused memoria.refused[], p_failed boolean) returns void
language sql set search_path = '' as $$
  insert into memoria.hand_overs (relation, row_id, event_id, code, message, failed)
  select distinct on (row_id) p_relation, row_id, left(event_id, 200), code, message, p_failed
  from unnest(p_refused), lateral (select left(coalesce(media_id, ''), 200) as row_id) as kept order by row_id
  on conflict (relation, row_id) where failed and code <> 'not_handed_over'
  do update set event_id = excluded.event_id, code = excluded.code, message = excluded.message,
    created_at = excluded.created_at
$$;

-- Makes room under ids that the app's table wants: a row that a user put there goes, with its faces, and
-- that is recorded; one that the table has moved to another event goes, too, also where it is the table's no longer,
-- but still the same object. The events are locked. Each photo is looked up by its key: a join may read all of the
-- table's.
create function memoria.clear_squatted(p_rows memoria.handed[], p_source text) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone record;
begin
  for v_gone in
    select media.event_id, array_agg(media.id) as ids, array_agg(
      row(media.id, given.event_id, 'taken_over',
        'A user had put a photo under this id; it went, with its faces.')::memoria.refused
    ) filter (where media.source is null and media.added_by is not null) as taken_over
    from unnest(p_rows) as given
    cross join lateral (select * from memoria.media where id = given.media_id offset 0) as media
    where (media.source is null and media.added_by is not null
        and (media.event_id, media.bucket, media.path) <> (given.event_id, given.bucket, given.path))
      or (media.event_id <> given.event_id and (media.source = p_source or (
        media.source is null and (media.bucket, media.path) = (given.bucket, given.path)
      )))
    group by media.event_id order by media.event_id
  loop
    perform memoria.remove_media(v_gone.event_id, v_gone.ids);
    if v_gone.taken_over is not null then
      perform memoria.note_hand_overs(p_source, v_gone.taken_over, false);
    end if;
  end loop;
end
$$;

-- Brings photos that are known in this event to how they are handed over now: processed anew where the
-- object is another one (of an archived event, once it is reopened), or where the photo had failed and is
-- handed over by hand. By hand, the preview of a photo that follows a table stays, as its place does. The events are
-- locked.
create function memoria.update_known(p_rows memoria.handed[], p_source text) returns void
language plpgsql
set search_path = ''
-- thousands of ids are hashed only where the plan knows them
set plan_cache_mode = force_custom_plan
as $$
declare
  v_again record;
  v_moved text[] := array(
    select media.id from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    where (media.bucket, media.path) <> (given.bucket, given.path)
  );
begin
  update memoria.media set
    bucket = given.bucket, path = given.path, preview_path = given.preview_path,
    source = coalesce(p_source, media.source),
    placed_at = case when media.id = any (v_moved) then clock_timestamp() else placed_at end
  from unnest(p_rows) as given
  where media.id = given.media_id and (p_source is not null or media.source is null)
    and (media.bucket, media.path, media.preview_path, media.source)
      is distinct from (given.bucket, given.path, given.preview_path, coalesce(p_source, media.source));
  -- how the old object ended says nothing of the new one
  update memoria.jobs set
    attempts = 0, deaths = 0, waits = 0, waiting_since = null, error_code = null, error_message = null,
    run_after = clock_timestamp()
  where media_id = any (v_moved) and kind = 'process' and status in ('queued', 'dispatched', 'running');
  for v_again in
    select events.id as event_id, events.status = 'open' as is_open, array_agg(media.id order by media.number) as ids
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    join memoria.events on events.id = media.event_id
    where media.id = any (v_moved) or (p_source is null and media.status = 'failed' and events.status = 'open')
    group by events.id order by events.id
  loop
    if v_again.is_open then
      perform memoria.queue_media(v_again.event_id, v_again.ids);
    else
      perform memoria.put_off_media(v_again.event_id, v_again.ids);
    end if;
  end loop;
end
$$;

-- Takes photos in: p_source names the app's table that they are rows of, p_added_by the user who handed
-- them over, all of one event. Their events exist. Returns those that could not be taken. Raises 404 for who lost
-- the right while events were waited for.
create function memoria.take_in(p_rows memoria.handed[], p_source text, p_added_by uuid)
returns memoria.refused[]
language plpgsql
set search_path = ''
-- thousands of ids are hashed only where the plan knows them
set plan_cache_mode = force_custom_plan
as $$
declare
  v_rows memoria.handed[];
  v_known text[];
  v_changed memoria.handed[];
  v_refused memoria.refused[];
  v_foreign text[];
begin
  v_refused := array(
    select row(given.media_id, given.event_id, 'invalid', memoria.fault_of(given))::memoria.refused
    from unnest(p_rows) as given where memoria.fault_of(given) is not null
  );
  v_rows := array(
    select row(media_id, event_id, bucket, path, preview_path)::memoria.handed from (
      select distinct on (media_id) given.*
      from unnest(p_rows) with ordinality as given (media_id, event_id, bucket, path, preview_path, n)
      where memoria.fault_of(row(media_id, event_id, bucket, path, preview_path)::memoria.handed) is null
      order by media_id, n desc
    ) as last_word
  );
  -- twice at most: a row that somebody else adds at this instant is known the second time, and not changed before
  -- its event is locked
  for v_turn in 1..2 loop
    v_known := array(select media.id from unnest(v_rows) as given join memoria.media on media.id = given.media_id);
    v_changed := memoria.differing(v_rows, p_source);
    perform memoria.lock_events_of_rows(array(select media_id from unnest(v_changed)), v_changed);
    if p_source is null and cardinality(v_changed) > 0 and not memoria.may((v_changed[1]).event_id, 'contribute') then
      perform memoria.refuse_unknown('event');
    end if;
    if p_source is not null then
      perform memoria.release_dropped(array(select media_id from unnest(v_changed)), p_source);
      perform memoria.clear_squatted(v_changed, p_source);
    end if;
    v_foreign := array(
      select media.id from unnest(v_rows) as given join memoria.media on media.id = given.media_id
      where media.event_id <> given.event_id or media.source <> p_source
        -- by hand, nobody points a photo elsewhere that follows a table, or that is another user's
        or (p_source is null and (media.bucket, media.path) <> (given.bucket, given.path) and (
          media.source is not null
          or (media.added_by is distinct from p_added_by and not memoria.may(media.event_id, 'manage'))
        ))
    );
    perform memoria.update_known(array(
      select given from unnest(v_changed) as given where media_id <> all (v_foreign)
    ), p_source);
    with added as (
      insert into memoria.media (id, event_id, bucket, path, preview_path, added_by, source)
      select media_id, event_id, bucket, path, preview_path, p_added_by, p_source
      from unnest(v_rows) as given
      where not exists (select from memoria.media where id = given.media_id)
      order by media_id
      on conflict do nothing
      returning id
    )
    select array(
      select given from unnest(v_rows) as given
      where media_id not in (select id from added) and (
        media_id <> all (v_known) or not exists (select from memoria.media where id = given.media_id)
      )
    ) into v_rows;
    v_refused := v_refused || array(
      select row(given.media_id, given.event_id, 'id_taken',
        'This id is taken by another photo.')::memoria.refused
      from unnest(p_rows) as given
      where given.media_id = any (v_foreign)
        -- what is to be looked at once more is not refused yet
        and (v_turn = 2 or given.media_id not in (select media_id from unnest(v_rows)))
    );
    exit when cardinality(v_rows) = 0;
  end loop;
  return v_refused;
end
$$;

-- Raises 429 where an owner's photos that wait would become more than allowed. What waits already, or is done and lies
-- where it did, makes them no more.
create function memoria.check_pending(p_event_id text, p_rows memoria.handed[]) returns void
language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
  v_most bigint := memoria.number('max_pending_per_owner');
  v_theirs text[] := array(
    select p_event_id
    union
    select id from memoria.events
    where owner_id = (select owner_id from memoria.events where id = p_event_id)
  );
  v_more constant bigint := (
    select count(*) from unnest(p_rows) as given where not exists (
      -- of this event alone: how another's photo stands is not told
      select from memoria.media where id = given.media_id and event_id = p_event_id and (
        status = 'pending' or (status = 'completed' and (bucket, path) = (given.bucket, given.path))
      )
      offset 0  -- each by its key
    )
  );
  v_pending bigint;
begin
  select count(*) into v_pending from (
    select from unnest(v_theirs) as theirs (id), lateral (
      select from memoria.media where event_id = theirs.id and status = 'pending'
      offset 0  -- each by its key
    ) as waiting
    limit v_most
  ) as counted;
  if v_pending + v_more > v_most then
    raise exception 'Too many photos of this owner wait already: max_pending_per_owner is %.', v_most
      using errcode = 'PT429';
  end if;
end
$$;

-- The event that photos are handed over into, open and the caller's to add to; the service role makes it.
create function memoria.check_enqueue(p_event_id text, p_rows memoria.handed[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_trusted boolean := memoria.caller_is_trusted();
  v_event memoria.events;
begin
  if not memoria.may(p_event_id, 'contribute') then
    perform memoria.refuse_unknown('event');
  elsif v_trusted then
    insert into memoria.events (id, owner_id)
    select p_event_id, (select auth.uid())
    where not exists (select from memoria.events where id = p_event_id) on conflict do nothing;
  end if;
  -- who deletes it at this instant is waited for; afterwards they wait
  select * into v_event from memoria.events where id = p_event_id for key share;
  if v_event.id is null then
    perform memoria.refuse_unknown('event');
  elsif v_event.status = 'archived' then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  elsif not v_trusted then
    perform memoria.check_pending(p_event_id, p_rows);
  end if;
end
$$;

-- Of these photos, those whose objects the user may not have processed.
create function memoria.not_theirs(p_rows memoria.handed[]) returns memoria.refused[]
language plpgsql stable set search_path = '' as $$
begin
  if memoria.caller_is_trusted() then
    return '{}';
  end if;
  return array(
    select row(media_id, event_id, 'not_yours', 'This object is not yours.')::memoria.refused
    from unnest(p_rows) as given
    where memoria.fault_of(given) is null and (
      memoria.can_use_object(bucket, path) is not true
      or (preview_path is not null and memoria.can_use_object(bucket, preview_path) is not true)
    )
  );
end
$$;

-- The job of a photo that was handed over; without one, how the photo stands: somebody may have deleted
-- it or archived its event at the same instant.
create function memoria.process_job_of(p_media_id text, p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(
    (
      select jsonb_build_object('job_id', id, 'media_id', media_id, 'event_id', event_id, 'status', status)
      from memoria.jobs where kind = 'process' and media_id = p_media_id
      order by finished_at desc nulls first, created_at desc limit 1
    ),
    jsonb_build_object('job_id', null, 'media_id', p_media_id, 'event_id', p_event_id, 'status', coalesce(
      (select status from memoria.media where id = p_media_id), 'cancelled'
    ))
  )
$$;

-- Hands a photo over. One that is known keeps its job, unless its place in storage changed or it had
-- failed: then it is processed anew. Rights are asked before and after waiting for events.
create function public.memoria_enqueue(
  p_media_id text, p_event_id text, p_bucket text, p_path text, p_preview_path text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_rows memoria.handed[] := array[row(p_media_id, p_event_id, p_bucket, p_path, p_preview_path)::memoria.handed];
  v_fault text := memoria.fault_of(v_rows[1]);
  v_refused memoria.refused[];
begin
  if v_fault is not null then
    raise exception '%', v_fault using errcode = '22023';
  end if;
  perform memoria.check_enqueue(p_event_id, v_rows);
  if cardinality(memoria.not_theirs(v_rows)) > 0 then
    raise exception 'This object is not yours.' using errcode = '42501';
  end if;
  v_refused := memoria.take_in(v_rows, null, (select auth.uid()));
  if cardinality(v_refused) > 0 then
    raise exception '%', v_refused[1].message using errcode = 'PT409';
  end if;
  return memoria.process_job_of(p_media_id, p_event_id);
end
$$;

-- Hands over at most 1,000 photos of an event: [{"media_id", "bucket", "path", "preview_path"}]. Each is
-- answered by its job, or by the error that kept it out. Rights are asked as by memoria_enqueue.
create function public.memoria_enqueue_many(p_event_id text, p_media jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_rows memoria.handed[];
  v_refused memoria.refused[];
begin
  if jsonb_typeof(p_media) is distinct from 'array' or jsonb_array_length(p_media) > 1000 then
    raise exception 'p_media is an array of at most 1000 photos.' using errcode = '22023';
  elsif not memoria.is_id(p_event_id) then
    raise exception '%', memoria.fault_of(row('x', p_event_id, 'x', 'x', null)::memoria.handed)
      using errcode = '22023';
  end if;
  v_rows := array(
    -- of a photo that is named twice, the last word
    select distinct on (item ->> 'media_id')
      row(item ->> 'media_id', p_event_id, item ->> 'bucket', item ->> 'path', item ->> 'preview_path')::memoria.handed
    from jsonb_array_elements(p_media) with ordinality as given (item, n)
    order by item ->> 'media_id', n desc
  );
  perform memoria.check_enqueue(p_event_id, v_rows);
  v_refused := memoria.not_theirs(v_rows);
  v_refused := v_refused || memoria.take_in(array(
    select given from unnest(v_rows) as given
    where not exists (select from unnest(v_refused) as refused where refused.media_id = given.media_id)
  ), null, (select auth.uid()));
  return jsonb_build_object('event_id', p_event_id, 'media', (
    select coalesce(jsonb_agg(coalesce(
      (
        select jsonb_build_object('media_id', given.media_id, 'error', jsonb_build_object('code', code, 'message', message))
        from unnest(v_refused) as refused
        where refused.media_id is not distinct from given.media_id limit 1
      ),
      memoria.process_job_of(given.media_id, p_event_id) - 'event_id'
    ) order by n), '[]')
    from (
      select item ->> 'media_id' as media_id, n from jsonb_array_elements(p_media) with ordinality as named (item, n)
    ) as given
  ));
end
$$;

-- Who manages the event, or contributed the photo.
create function memoria.may_remove(p_media memoria.media) returns boolean
language sql stable set search_path = '' as $$
  select memoria.may(p_media.event_id, 'manage') or (
    memoria.may(p_media.event_id, 'contribute') and coalesce(p_media.added_by = (select auth.uid()), false)
  )
$$;

-- Removes a photo with everything of it. Rights are asked before and after waiting for the event.
create function public.memoria_delete_media(p_media_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_media memoria.media;
begin
  select * into v_media from memoria.media where id = p_media_id;
  if not found or not memoria.may_remove(v_media) then
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.lock_event(v_media.event_id);
  if not memoria.may_remove(v_media) then
    perform memoria.refuse_unknown('photo');
  end if;
  if not exists (select from memoria.media where id = p_media_id and event_id = v_media.event_id) then
    if exists (select from memoria.media where id = p_media_id) then
      raise exception 'This photo went to another event at this instant.' using errcode = 'PT409';
    end if;
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.remove_media(v_media.event_id, array[p_media_id]);
  return jsonb_build_object('media_id', p_media_id, 'event_id', v_media.event_id, 'deleted', true);
end
$$;
