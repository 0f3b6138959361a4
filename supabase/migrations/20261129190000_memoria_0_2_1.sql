-- 0.2.1.

-- Events that hold photos of a followed table are the app's: it named their owners. Of those that were given away
-- the next row that names the owner says so, since whom their maker let in goes then.
update memoria.events set made_by = null
where made_by is not null and owner_id is not distinct from made_by and exists (
  select from memoria.media where event_id = events.id and source is not null
);

-- Functions that changed: written by python -m local.changes.

drop function if exists memoria.alike(text,extensions.vector,text,jsonb,double precision);

-- Faces of which a user took back, since the run was claimed, whose they are: they stay as they are.
create or replace function memoria.released_since(p_event_id text, p_since timestamptz) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select said.face_id
    from memoria.changes join memoria.corrections as said on said.withdrawn_by = changes.id
    where changes.event_id = p_event_id and changes.created_at > p_since and said.kind = 'pin'
  )
$$;

revoke all on function memoria.released_since(text,timestamp with time zone) from public, anon, authenticated, service_role;

-- Who is in which group, with the people made who are new. A person that a user forgot since the run
-- loaded them does not come back: their group becomes a stranger's. p_kept: whose faces stay; p_released: faces
-- that stay.
create or replace function memoria.store_groups(p_event_id text, p_groups jsonb, p_kept uuid[], p_released uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  create temporary table saved_groups on commit drop as
  select
    case
      when (body ->> 'is_new')::boolean is not true and not exists (
        select from memoria.persons
        where id = (body ->> 'person_id')::uuid and event_id = p_event_id
      ) then gen_random_uuid()
      else (body ->> 'person_id')::uuid
    end as person_id,
    position,
    body
  from jsonb_array_elements(p_groups) with ordinality as groups (body, position);

  insert into memoria.persons (id, event_id, created_at)
  -- so that people made by one run keep their order
  select person_id, p_event_id, now() + position * interval '1 microsecond'
  from pg_temp.saved_groups
  on conflict (id) do nothing;

  update memoria.faces
  set identity_id = saved_groups.person_id
  from pg_temp.saved_groups, jsonb_array_elements_text(body -> 'face_ids') as face (id)
  where faces.id = face.id::uuid and faces.event_id = p_event_id
    and faces.identity_id is distinct from saved_groups.person_id
    and (faces.identity_id = any (p_kept)) is not true and faces.id <> all (p_released);

  -- of several groups that are one person, the largest shows its face
  update memoria.persons
  set representative_face_id = (body ->> 'representative_face_id')::uuid
  from (
    select distinct on (memoria.root_of(person_id)) memoria.root_of(person_id) as root, body
    from pg_temp.saved_groups
    order by memoria.root_of(person_id), jsonb_array_length(body -> 'face_ids') desc, position
  ) as largest
  where persons.id = largest.root and persons.event_id = p_event_id;
  drop table pg_temp.saved_groups;
end
$$;

revoke all on function memoria.store_groups(text,jsonb,uuid[],uuid[]) from public, anon, authenticated, service_role;

create or replace function public.memoria_save_people(p_job_id uuid, p_token uuid, p_result jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '120s'
as $$
declare
  v_job memoria.jobs := memoria.lock_run(p_job_id, p_token);
  v_kept uuid[];
  v_everybody uuid[];  -- also who has no faces left
  v_summary jsonb;
  v_photos jsonb;
begin
  if v_job.id is null or v_job.kind <> 'cluster' then
    return memoria.why_lost(p_job_id);
  end if;
  v_kept := memoria.changed_since(v_job.event_id, v_job.started_at);
  perform memoria.store_groups(
    v_job.event_id, p_result -> 'groups', v_kept, memoria.released_since(v_job.event_id, v_job.started_at)
  );
  v_everybody := memoria.people_of_event(v_job.event_id);
  perform memoria.store_nobody(v_job.event_id, p_result -> 'nobody', v_kept);
  perform memoria.apply_corrections(v_job.event_id);
  perform memoria.settle_people(v_job.event_id);
  perform memoria.note_run(v_job, v_everybody, v_kept, p_result -> 'changes');
  perform memoria.store_suggestions(v_job.event_id, coalesce(p_result -> 'suggestions', '[]'));
  perform memoria.note_grouped(v_job.event_id, (p_result ->> 'processing_time_seconds')::real);
  v_summary := memoria.people_summary(v_job.event_id);
  v_photos := memoria.photo_counts(v_job.event_id);
  perform memoria.announce_people(v_job.event_id, v_summary, v_photos);
  return v_summary || jsonb_build_object(
    'outcome', 'stored',
    'callback_job_id', memoria.finish_job(v_job, v_summary || jsonb_build_object(
      'job_id', v_job.id, 'event_id', v_job.event_id, 'photos', v_photos,
      'processing_time_seconds', p_result -> 'processing_time_seconds', 'status', 'completed'
    ))
  );
end
$$;

-- Of these photos, those that are known already and are not as they are given.
create or replace function memoria.differing(p_rows memoria.handed[], p_source text) returns memoria.handed[]
language sql stable set search_path = '' as $$
  select array(
    select given
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    where (media.event_id, media.bucket, media.path, media.preview_path, media.source)
        is distinct from (given.event_id, given.bucket, given.path, given.preview_path, p_source)
      or (p_source is null and media.status <> 'completed')
  )
$$;

revoke all on function memoria.differing(memoria.handed[],text) from public, anon, authenticated, service_role;

-- Locks, in the order of their ids, the events of photos with these ids and those that rows name: as whoever works
-- on several events does.
create or replace function memoria.lock_events_of_rows(p_ids text[], p_rows memoria.handed[]) returns void
language sql set search_path = '' as $$
  select from memoria.events
  where id in (
    select event_id from memoria.media where id = any (p_ids) union select event_id from unnest(p_rows)
  )
  order by id for no key update
$$;

revoke all on function memoria.lock_events_of_rows(text[],memoria.handed[]) from public, anon, authenticated, service_role;

-- Makes room under ids that the app's table wants: a row that a user put there goes, with its faces, and
-- that is recorded; one that the table has moved to another event goes, too, also where it is the table's no longer,
-- but still the same object. The events are locked. Each photo is looked up by its key: a join may read all of the
-- table's.
create or replace function memoria.clear_squatted(p_rows memoria.handed[], p_source text) returns void
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
create or replace function memoria.update_known(p_rows memoria.handed[], p_source text) returns void
language plpgsql set search_path = '' as $$
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
-- them over. Their events exist. Returns those that could not be taken.
create or replace function memoria.take_in(p_rows memoria.handed[], p_source text, p_added_by uuid)
returns memoria.refused[]
language plpgsql set search_path = '' as $$
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
    if p_source is not null then
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

-- {event: its owner} of some rows of a followed table, as far as they name one.
create or replace function memoria.owners_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select case when p_columns ? 'owner' then format(
    'coalesce(jsonb_object_agg(%1$I::text, %2$I::text) filter (where %1$I is not null and %2$I is not null), ''{}'')',
    p_columns ->> 'event', p_columns ->> 'owner'
  ) else 'null::jsonb' end
$$;

-- Gives an event back to the app that a user made under one of its ids, without what that user put there.
create or replace function memoria.take_event_over(p_relation text, p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  delete from memoria.members where event_id = p_event_id;
  perform memoria.remove_media(p_event_id, array(
    select id from memoria.media where event_id = p_event_id and source is null and added_by is not null
  ));
  perform memoria.note_hand_overs(p_relation, array[row(
    p_event_id, p_event_id, 'event_taken_over',
    'A user had made an event of this id; it is the app''s again, without that user''s photos and members.'
  )::memoria.refused], false);
end
$$;

revoke all on function memoria.take_event_over(text,text) from public, anon, authenticated, service_role;

-- Whom this user let into an event, and whom those let in, and so on; the owner's own stay.
create or replace function memoria.remove_members_of(p_event_id text, p_user_id uuid, p_owner_id uuid) returns void
language sql set search_path = '' as $$
  with recursive theirs (id) as (
    select p_user_id
    union
    select user_id from memoria.members join theirs on members.added_by = theirs.id
    where event_id = p_event_id and user_id <> p_owner_id
  )
  delete from memoria.members where event_id = p_event_id and added_by in (select id from theirs)
$$;

revoke all on function memoria.remove_members_of(text,uuid,uuid) from public, anon, authenticated, service_role;

-- Makes the events that rows name. One that a user made is the app's as soon as rows name its owner: where that is
-- its maker, it stays as it is (who made it may have given it away); where its maker gave it to that owner, whom they
-- let in goes; else it is taken over. Rows that name no owner say nothing. The photos of a followed table are never
-- filed under an event of which only a user says whose it is. Returns the events that are not the app's.
create or replace function memoria.claim_events(p_relation text, p_events text[], p_owners jsonb) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_owner uuid;
begin
  insert into memoria.events (id, owner_id)
  select id, memoria.as_uuid(p_owners ->> id) from unnest(p_events) as wanted (id)
  where not exists (select from memoria.events where events.id = wanted.id)
  order by id on conflict do nothing;
  for v_event in
    select * from memoria.events
    where id = any (p_events) and (made_by is not null or owner_id is null)
      and memoria.as_uuid(p_owners ->> id) is not null
    order by id for no key update
  loop
    v_owner := memoria.as_uuid(p_owners ->> v_event.id);
    if v_owner = v_event.made_by then
      v_owner := coalesce(v_event.owner_id, v_owner);
    elsif v_owner = v_event.owner_id then
      perform memoria.remove_members_of(v_event.id, v_event.made_by, v_owner);
    elsif v_event.made_by is not null then
      perform memoria.take_event_over(p_relation, v_event.id);
    end if;
    update memoria.events set owner_id = v_owner, made_by = null where id = v_event.id;
    update memoria.hand_overs set code = 'not_handed_over'
    where event_id = v_event.id and failed and code = 'event_of_a_user';
  end loop;
  return array(select id from memoria.events where id = any (p_events) and made_by is not null);
end
$$;

-- Removes photos of a followed table that are no longer its rows. Where another followed table wants one of their
-- ids, as when a row was copied there before it went from here, the sweeper tries again; what is in other hands at
-- this instant is not waited for.
create or replace function memoria.remove_followed(p_relation text, p_ids text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone record;
begin
  for v_gone in
    select event_id, array_agg(id) as ids from memoria.media
    where id = any (p_ids) and source = p_relation group by event_id order by event_id
  loop
    perform memoria.lock_event(v_gone.event_id);
    perform memoria.remove_media(v_gone.event_id, v_gone.ids);
  end loop;
  delete from memoria.hand_overs
  where relation = p_relation and row_id = any (p_ids) and failed and code <> 'not_handed_over';
  update memoria.hand_overs set code = 'not_handed_over' where id in (
    select hand_overs.id from memoria.followed join memoria.hand_overs on hand_overs.relation = followed.relation
    where followed.relation <> p_relation and row_id = any (p_ids) and failed and code = 'id_taken'
    for no key update of hand_overs skip locked
  );
end
$$;

-- Takes in rows of a followed table. What is not complete yet, or cannot be taken, is written down.
create or replace function memoria.hand_over(p_relation text, p_rows memoria.handed[], p_owners jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_rows memoria.handed[];
  v_refused memoria.refused[];
  v_others text[];
begin
  v_refused := array(
    select row(media_id, event_id, 'incomplete',
      'The row names no ' || case when event_id is null then 'event' else 'path' end || ' yet.')::memoria.refused
    from unnest(p_rows) where event_id is null or path is null
  );
  perform memoria.remove_followed(p_relation, array(select media_id from unnest(v_refused)));
  v_rows := array(select given from unnest(p_rows) as given where event_id is not null and path is not null);
  v_others := memoria.claim_events(p_relation, array(
    select distinct event_id from unnest(v_rows) as given where memoria.fault_of(given) is null
  ), p_owners);
  v_refused := v_refused || array(
    select row(media_id, event_id, 'event_of_a_user', 'A user made an event of this id: ' || case
      when p_owners is null then 'name the column of the event''s owner in memoria_follow.'
      else 'the row names no owner of the event.'
    end)::memoria.refused
    from unnest(v_rows) where event_id = any (v_others)
  );
  v_rows := array(select given from unnest(v_rows) as given where event_id <> all (v_others));
  v_refused := v_refused || memoria.take_in(v_rows, p_relation, null);
  delete from memoria.hand_overs
  where relation = p_relation and failed and code <> 'not_handed_over'
    and row_id = any (array(select media_id from unnest(p_rows)));
  perform memoria.note_hand_overs(p_relation, v_refused, true);
  return cardinality(p_rows) - cardinality(v_refused);
end
$$;

-- Tries again rows that were written down: as they are now; those that are gone are removed. What the app
-- changed meanwhile stays written down: its own hand-over may have come before this one.
create or replace function memoria.retry_rows(p_relation text, p_late bigint[]) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids constant text[] := array(select distinct row_id from memoria.hand_overs where id = any (p_late));
  v_before record;
  v_after record;
  v_count integer;
begin
  select * into v_before from memoria.rows_now(p_relation, v_ids);
  perform memoria.lock_events_of_rows(v_ids, v_before.rows);
  perform memoria.remove_followed(p_relation, array(
    select id from unnest(v_ids) as late (id)
    where id not in (select media_id from unnest(v_before.rows) where media_id is not null)
  ));
  v_count := memoria.hand_over(p_relation, v_before.rows, v_before.owners);
  select * into v_after from memoria.rows_now(p_relation, v_ids);
  delete from memoria.hand_overs where id = any (p_late) and row_id not in (
    select media_id from (
      (select * from unnest(v_before.rows) except select * from unnest(v_after.rows))
      union all
      (select * from unnest(v_after.rows) except select * from unnest(v_before.rows))
    ) as changed
    where media_id is not null
  );
  return v_count;
end
$$;

-- Raises where triggers of the table itself would not see all of its changes, or not all columns of these.
create or replace function memoria.check_seen(p_table regclass, p_columns jsonb) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_unseen text := (
    select string_agg(value, ', ' order by key) from jsonb_each_text(p_columns)
    where key <> 'bucket' and exists (
      select from pg_attribute where attrelid = p_table and attname = value and attgenerated = 'v'
    )
  );
begin
  if v_unseen is not null then
    raise exception 'Triggers do not see what a virtual column holds: have % stored.', v_unseen using errcode = '0A000';
  elsif (select relispartition from pg_class where oid = p_table) then
    raise exception 'Triggers of a partition do not see statements on its parent: follow %.',
      (select inhparent::regclass from pg_inherits where inhrelid = p_table) using errcode = '0A000';
  end if;
end
$$;

revoke all on function memoria.check_seen(regclass,jsonb) from public, anon, authenticated, service_role;

-- Follows a table of the app: from now on, and every row that is there; photos of rows that are gone go. Called
-- again, it changes what is followed. Columns are named as they are in the table; the bucket is a constant or a column.
create or replace function public.memoria_follow(
  p_table regclass,
  p_id text,
  p_event text,
  p_path text,
  p_bucket text default null,
  p_bucket_column text default null,
  p_preview_path text default null,
  p_owner text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_relation text := memoria.name_of(p_table);
  v_columns jsonb := jsonb_strip_nulls(jsonb_build_object(
    'id', p_id, 'event', p_event, 'path', p_path, 'bucket', p_bucket, 'bucket_column', p_bucket_column,
    'preview_path', p_preview_path, 'owner', p_owner
  ));
  v_missing text := (
    select string_agg(value, ', ' order by key) from jsonb_each_text(v_columns)
    where key <> 'bucket' and not exists (
      select from pg_attribute where attrelid = p_table and attname = value and attnum > 0 and not attisdropped
    )
  );
  v_count integer;
begin
  if v_missing is not null then
    raise exception '% has no column %.', v_relation, v_missing using errcode = '42703';
  elsif p_id is null or p_event is null or p_path is null then
    raise exception 'p_id, p_event and p_path name columns of the table.' using errcode = '22023';
  elsif (p_bucket is null) = (p_bucket_column is null) then
    raise exception 'Name the bucket, or the column that holds it.' using errcode = '22023';
  end if;
  perform memoria.check_seen(p_table, v_columns);
  perform memoria.follow_renamed(p_table);
  if memoria.followers(v_relation) <> '{}' and memoria.followers(v_relation) <> array[p_table] then
    -- else its photos would be taken for rows that are gone from this table
    raise exception 'Another table was followed as %: call memoria_follow or memoria_unfollow of that one first.', v_relation
      using errcode = '55000';
  end if;
  insert into memoria.followed (relation, columns) values (v_relation, v_columns)
  on conflict (relation) do update set columns = excluded.columns, broken = null;
  perform memoria.unfollow_triggers(p_table);
  perform memoria.follow_triggers(p_table, v_relation);
  delete from memoria.hand_overs where relation = v_relation and failed;
  v_count := memoria.hand_over_existing(p_table, v_relation, v_columns);
  perform memoria.remove_gone(p_table, v_relation, v_columns);
  return jsonb_build_object('table', v_relation, 'handed_over', v_count, 'failed', (
    select count(*) from memoria.hand_overs where relation = v_relation and failed
  ));
end
$$;

-- What is still to be done for a table, without leave to fail: rows that cannot be handed over are parted from the
-- others by halves, and told.
create or replace function memoria.retry_all(p_relation text, p_late bigint[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_half constant integer := cardinality(p_late) / 2;
begin
  perform memoria.retry_rows(p_relation, p_late);
exception
  when transaction_rollback then
    raise;  -- not by these rows
  when others then
    if v_half = 0 then
      raise warning 'memoria: row % of % was not handed over: %',
        (select row_id from memoria.hand_overs where id = any (p_late)), p_relation, sqlerrm;
    else
      perform memoria.retry_all(p_relation, p_late[:v_half]);
      perform memoria.retry_all(p_relation, p_late[v_half + 1:]);
    end if;
end
$$;

revoke all on function memoria.retry_all(text,bigint[]) from public, anon, authenticated, service_role;

-- The table is no longer followed; the photos that it handed over stay. What is still to be done for it is done
-- first, however long that waits.
create or replace function public.memoria_unfollow(p_table regclass) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_relation text := memoria.name_of(p_table);
  v_late bigint[];
begin
  perform memoria.follow_renamed(p_table);
  v_late := array(
    select id from memoria.hand_overs
    where relation = v_relation and failed and code = 'not_handed_over'
      -- not those of another table, whose name this one has now
      and memoria.followers(v_relation) = array[p_table]
    order by id
  );
  -- all at once, before their photos, as everyone does
  perform memoria.lock_events_of_rows(array(
    select id from memoria.media where source = v_relation
    union select row_id from memoria.hand_overs where id = any (v_late)
  ), array(
    select row(row_id, event_id, null, null, null)::memoria.handed from memoria.hand_overs where id = any (v_late)
  ));
  for v_page in 1..(cardinality(v_late) + 999) / 1000 loop
    perform memoria.retry_all(v_relation, v_late[v_page * 1000 - 999 : v_page * 1000]);
  end loop;
  perform memoria.unfollow_triggers(p_table);
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.media set source = null where source = v_relation;
  return jsonb_build_object('table', v_relation, 'followed', false);
end
$$;

-- Two faces of an event: a photo that went to another one keeps its faces' ids.
create or replace function memoria.evidence_item(p_event_id text, p_pair jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', one.id, 'media_id', one.media_id, 'bbox', memoria.face_box(one),
    'other_face_id', other.id, 'other_media_id', other.media_id, 'other_bbox', memoria.face_box(other),
    'similarity', p_pair -> 'similarity'
  )
  from memoria.faces as one, memoria.faces as other
  where one.id = (p_pair ->> 'face_id')::uuid and other.id = (p_pair ->> 'other_face_id')::uuid
    and one.event_id = p_event_id and other.event_id = p_event_id
$$;

revoke all on function memoria.evidence_item(text,jsonb) from public, anon, authenticated, service_role;

-- Evidence names faces of one_id first; turned where the other one goes first.
create or replace function memoria.suggestion_item(s memoria.suggestions) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('id', s.id, 'kind', s.kind, 'likelihood', round(s.likelihood::numeric, 3)) || case s.kind
    when 'same_person' then (
      select jsonb_build_object(
        'into', (select memoria.person_item(persons) from memoria.persons where id = pair[1]),
        'from', (select memoria.person_item(persons) from memoria.persons where id = pair[2]),
        'photos_together', s.photos_together,
        'evidence', (
          select coalesce(jsonb_agg(item order by n) filter (where item is not null), '[]')
          from jsonb_array_elements(s.evidence) with ordinality as shown (body, n),
            lateral (select memoria.evidence_item(s.event_id, case when pair[1] = s.one_id then body
              else body || jsonb_build_object(
                'face_id', body -> 'other_face_id', 'other_face_id', body -> 'face_id'
              )
            end) as item) as made
        )
      )
      from memoria.into_first(s.one_id, s.other_id) as pair
    )
    else jsonb_build_object('face', memoria.face_cover(s.face_id), 'candidates', memoria.candidates_of(s))
  end
$$;

-- The faces that belonged to nobody when a search found them. A photo that went to another event keeps its faces'
-- ids, and is no longer this one's.
create or replace function memoria.loose_faces_of(p_search memoria.searches) returns setof memoria.faces
language sql stable set search_path = '' as $$
  select * from memoria.faces where id = any (p_search.loose_faces) and event_id = p_search.event_id
$$;

revoke all on function memoria.loose_faces_of(memoria.searches) from public, anon, authenticated, service_role;

-- The faces that a guest who asks to be taken out was found by, and that were nobody's then: whose they are now.
create or replace function memoria.faces_to_take_out(p_search memoria.searches) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(
    memoria.face_cover(faces.id) || jsonb_build_object('person_id', person_id) order by media_number, faces.id
  ), '[]')
  from memoria.loose_faces_of(p_search) as faces
  where p_search.removal_requested_at is not null and dismissed is null
$$;

-- Whom a search found, as whom they are shown today.
create or replace function memoria.people_found(p_search memoria.searches) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select memoria.root_of(person) as root from unnest(p_search.people) with ordinality as found (person, place)
    group by root order by min(place)
  )
$$;

revoke all on function memoria.people_found(memoria.searches) from public, anon, authenticated, service_role;

-- The audit: first who asks to be taken out, then newest first.
create or replace function public.memoria_searches(p_event_id text, p_limit integer default 100) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  v_limit integer := least(greatest(coalesce(p_limit, 100), 1), 1000);
begin
  perform memoria.authorize(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'searches', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'search_id', id, 'link_id', link_id, 'guest', left(encode(guest, 'hex'), 12),
      'created_at', created_at, 'consent', consent, 'outcome', outcome, 'people', memoria.people_found(shown),
      'loose_faces', cardinality(loose_faces), 'removal_requested_at', removal_requested_at,
      'take_out', memoria.faces_to_take_out(shown)
    ) order by removal_requested_at desc nulls last, created_at desc, id), '[]')
    from (
      select * from (
        (
          select * from memoria.searches
          where event_id = p_event_id and removal_requested_at is not null
          order by removal_requested_at desc, id limit v_limit
        )
        union all
        (
          select * from memoria.searches
          where event_id = p_event_id and removal_requested_at is null
          order by created_at desc, id limit v_limit
        )
      ) as either
      order by removal_requested_at desc nulls last, created_at desc, id limit v_limit
    ) as shown
  ));
end
$$;

-- Everybody and every loose face that the selfie scores at least p_least with, best first; of somebody who was
-- merged, the identities that do: a merge may be taken back.
create or replace function memoria.alike(
  p_event_id text, p_embedding extensions.vector, p_model text, p_rule jsonb, p_least double precision
) returns table (subject uuid, is_person boolean, score double precision, identities uuid[])
language plpgsql stable set search_path = '' as $$
declare
  v_weight constant double precision := p_rule ->> 'weight';
  v_length constant double precision := p_rule ->> 'mean_length';
  v_shared constant double precision := p_rule ->> 'shared';
  v_dimensions constant double precision := p_rule ->> 'dimensions';
  v_background constant double precision := memoria.background(p_event_id, p_model);
  -- a loose face's score is a straight line over its similarity: two points give the one to ask for
  v_at_0 constant double precision :=
    memoria.likeness(0, v_weight, v_length, 1, 1, v_background, v_shared, v_dimensions);
  v_at_1 constant double precision :=
    memoria.likeness(1, v_weight, v_length, 1, 1, v_background, v_shared, v_dimensions);
begin
  return query
  with identity as (
    select persons.id, coalesce(persons.merged_into, persons.id) as root, memoria.likeness(
      -(persons.centroid operator(extensions.<#>) p_embedding), v_weight, v_length,
      persons.centroid_faces, persons.mean_length, v_background, v_shared, v_dimensions
    ) as score
    from memoria.persons
    where persons.event_id = p_event_id and persons.model = p_model and persons.centroid is not null
  ), found as (
    select identity.root, true, max(identity.score) as score, array_agg(identity.id order by identity.id)
    from identity join memoria.persons on persons.id = identity.root
    where not persons.hidden and persons.face_count > 0 and identity.score >= p_least
    group by identity.root
    union all
    select faces.id, false, v_at_0 + (v_at_1 - v_at_0) * -(faces.embedding operator(extensions.<#>) p_embedding),
      '{}'::uuid[]
    from memoria.faces
    where faces.event_id = p_event_id and faces.person_id is null and faces.dismissed is null
      and faces.model = p_model
      and -(faces.embedding operator(extensions.<#>) p_embedding) >= (p_least - v_at_0) / (v_at_1 - v_at_0)
  )
  select * from found order by 3 desc, 1 limit 200;
end
$$;

revoke all on function memoria.alike(text,extensions.vector,text,jsonb,double precision) from public, anon, authenticated, service_role;

-- How alike a face is to the mean of its person's other faces, from the mean of all. Null where there are
-- too few of them, or where a user said whose it is, or where another model looked at them; as unlike as can be
-- while no run has seen what that model says.
create or replace function memoria.alike_to_others(p_face memoria.faces) returns double precision
language sql stable set search_path = '' as $$
  select case
    when model = p_face.model
      then (total * similarity - 1) / nullif(sqrt(total ^ 2 - 2 * total * similarity + 1), 0)
    when exists (
      select from memoria.media join memoria.events on events.id = media.event_id
      -- the first photo after a run begins the wait for the next one, and was looked at just before
      where media.id = p_face.media_id
        and looked_at > least(clustered_at, ungrouped_since - interval '1 second')
    ) then -1
  end
  from (
    select model, centroid_faces * mean_length::double precision as total,
      -(centroid operator(extensions.<#>) p_face.embedding) as similarity
    from memoria.persons where id = p_face.identity_id and centroid_faces > 2
  ) as person
  where not exists (
    select from memoria.corrections where face_id = p_face.id and kind = 'pin' and withdrawn_by is null
  )
$$;

-- The photos of people and of loose faces: each photo once, with the box that is meant. It is sure where
-- the face is alike enough to its person's others; the rest only for who is told of what may be. A picture that
-- took another's place is nobody's until it was looked at.
create or replace function memoria.photos_of(p_people uuid[], p_faces uuid[], p_belongs double precision, p_maybe boolean)
returns jsonb
language sql stable set search_path = '' as $$
  with boxes as (
    select distinct on (media_id) media_id, x, y, w, h, is_sure
    from (
      select media_id, x, y, w, h, quality,
        coalesce(memoria.alike_to_others(faces) >= p_belongs, true) as is_sure
      from memoria.faces where person_id = any (p_people)
      union all
      select media_id, x, y, w, h, quality, true from memoria.faces where id = any (p_faces)
    ) as faces
    where is_sure or p_maybe
    order by media_id, is_sure desc, quality desc
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'media_id', media.id, 'bbox', jsonb_build_object('x', x, 'y', y, 'w', w, 'h', h),
    'width', width, 'height', height, 'band', case when is_sure then 'sure' else 'maybe' end,
    'bucket', bucket, 'path', path, 'preview_path', preview_path
  ) order by media.number), '[]')
  from boxes join memoria.media on media.id = boxes.media_id
  where (placed_at > looked_at) is not true
$$;

-- The scan and the audit. p_rule: search/likeness.py's Rule, with the selfie's weight and mean_length.
create or replace function public.memoria_search(
  p_search_id uuid, p_embedding extensions.vector, p_model text, p_rule jsonb
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '5s'
-- plans made while the tables were small must serve when they are large
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_search memoria.searches;
  v_link memoria.search_links;
  v_event memoria.events;
  v_searched jsonb;
  v_others integer;
  v_slope constant double precision := p_rule ->> 'slope';
  v_belongs constant double precision := p_rule ->> 'belongs';
  v_tells_maybe boolean;
  v_certain double precision;
  v_sure double precision;
  v_maybe double precision;
  v_people uuid[];  -- identities, which a merge that is taken back leaves as they are
  v_faces uuid[];
  v_themselves uuid[];
  v_matches jsonb;
begin
  select * into v_search from memoria.searches where id = p_search_id and outcome = 'begun';
  select * into v_event from memoria.events where id = v_search.event_id for key share;
  select * into v_link from memoria.search_links where id = v_search.link_id;
  if v_event.id is null or (v_search.link_id is not null and (v_link.revoked_at is not null)) then
    return jsonb_build_object('outcome', 'not_found');
  elsif v_event.status = 'archived' then
    return jsonb_build_object('outcome', 'event_archived');
  end if;
  v_searched := memoria.searched(v_event.id, p_model);
  if (v_searched ->> 'of_another_model')::integer > 0 and not exists (
    select from memoria.faces where event_id = v_event.id and model = p_model and embedding is not null
  ) then
    update memoria.searches set outcome = 'model_changed', model = p_model where id = p_search_id;
    return jsonb_build_object('outcome', 'model_changed');
  end if;
  v_others := (v_searched ->> 'people')::integer + (v_searched ->> 'loose_faces')::integer;
  -- the score that every stranger reaches somewhere: from there on the chance falls to 1/e per slope
  v_certain := (p_rule ->> 'demand')::double precision
    + v_slope * (greatest(ln(greatest(v_others, 1) / 100.0), 0) - ln(1000));
  v_sure := v_certain - v_slope * ln((p_rule ->> 'fpir')::double precision);
  v_maybe := v_certain - v_slope * ln(0.02);
  v_tells_maybe := v_search.link_id is null or v_link.maybe;

  select
    string_to_array(string_agg(array_to_string(identities, ','), ',' order by place) filter (where is_person), ','),
    array_agg(subject order by place) filter (where not is_person),
    array_agg(subject) filter (where place = 1 or score >= v_sure),
    jsonb_agg(jsonb_build_object(
      'match', 'm' || place, 'subject', subject, 'is_person', is_person,
      'confidence', round((1 - exp(-greatest((score - v_certain) / v_slope, 0)))::numeric, 6),
      'band', case when score >= v_sure then 'sure' else 'maybe' end,
      'photos', photos
    ) order by place)
  into v_people, v_faces, v_themselves, v_matches
  from (
    select *, row_number() over (order by score desc, subject) as place
    from memoria.alike(
      v_event.id, p_embedding, p_model, p_rule, case when v_tells_maybe then least(v_sure, v_maybe) else v_sure end
    ), lateral (
      select memoria.photos_of(
        case when is_person then array[subject] end, case when not is_person then array[subject] end,
        v_belongs, v_tells_maybe
      ) as photos
      offset 0  -- once, not each time that it is named
    ) as theirs
    where photos <> '[]'
  ) as ranked;

  if v_matches is not null and v_search.guest is not null and not memoria.take_slot(
    v_event.id, v_search.guest, v_themselves, coalesce(v_link.people_per_guest, 3)
  ) then
    update memoria.searches set outcome = 'person_limit', model = p_model where id = p_search_id;
    return jsonb_build_object('outcome', 'person_limit');
  end if;
  -- whom a user forgets meanwhile is not noted, or is there to be purged: forgetting waits for these locks
  v_people := array(select id from memoria.persons where id = any (v_people) for key share skip locked);
  v_faces := array(select id from memoria.faces where id = any (v_faces) for key share skip locked);
  update memoria.searches
  set outcome = case when v_matches is null then 'nobody' else 'found' end, model = p_model,
    people = v_people, loose_faces = v_faces, belongs = v_belongs
  where id = p_search_id;
  return jsonb_build_object(
    'outcome', case when v_matches is null then 'nobody' else 'found' end,
    'event_id', v_event.id, 'matches', coalesce(v_matches, '[]'), 'searched', v_searched,
    'complete', memoria.search_complete(v_event.id)
  );
end
$$;

-- Today's photos of the same matches, without another selfie.
create or replace function public.memoria_search_again(
  p_search_id uuid, p_token_hash text default null, p_guest text default null, p_event_id text default null
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '5s'
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_search memoria.searches := memoria.own_search(p_search_id, p_token_hash, p_guest, p_event_id);
  v_refusal jsonb;
  v_people uuid[];
  v_faces uuid[];
begin
  if v_search.id is null then
    return jsonb_build_object('outcome', 'not_found');
  elsif exists (select from memoria.events where id = v_search.event_id and status = 'archived') then
    return jsonb_build_object('outcome', 'event_archived');
  end if;
  v_refusal := memoria.count_again(v_search);
  if v_refusal is not null then
    return v_refusal;
  end if;
  -- people may have been merged or hidden since, loose faces may have found their person
  select array_agg(distinct persons.id) into v_people
  from memoria.persons
  where persons.event_id = v_search.event_id and not persons.hidden and persons.id in (
    select memoria.root_of(person) from unnest(v_search.people) as person
    union
    select person_id from memoria.loose_faces_of(v_search) where person_id is not null
  );
  v_faces := array(
    select id from memoria.loose_faces_of(v_search) where person_id is null and dismissed is null
  );
  return jsonb_build_object(
    'outcome', v_search.outcome, 'event_id', v_search.event_id,
    'photos', memoria.photos_of(v_people, v_faces, v_search.belongs, coalesce(
      (select maybe from memoria.search_links where id = v_search.link_id), true
    )),
    'complete', memoria.search_complete(v_search.event_id)
  );
end
$$;

create or replace function memoria.lock_events_of(p_rows memoria.handed[], p_source text) returns void
language sql set search_path = '' as $$
  select memoria.lock_events_of_rows(array(select media_id from unnest(changed)), changed)
  from memoria.differing(p_rows, p_source) as changed
$$;

create or replace function memoria.store_groups(p_event_id text, p_groups jsonb, p_kept uuid[]) returns void
language sql set search_path = '' as $$
  select memoria.store_groups(p_event_id, p_groups, p_kept, '{}')
$$;

create or replace function memoria.evidence_item(p_pair jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.evidence_item(event_id, p_pair) from memoria.faces where id = (p_pair ->> 'face_id')::uuid
$$;
