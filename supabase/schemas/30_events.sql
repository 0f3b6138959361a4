-- What an app does with events: make, share, look after, archive, delete.

create function public.memoria_create_event(p_event_id text, p_owner_id uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := (select auth.uid());
  v_event memoria.events;
begin
  if not exists (select from memoria.events where id = p_event_id) then
    if not memoria.may(p_event_id, 'create') or (
      not memoria.caller_is_trusted() and (v_user is null or p_owner_id <> v_user)
    ) then
      perform memoria.refuse_unknown('event');
    end if;
    insert into memoria.events (id, owner_id, made_by)
    values (
      p_event_id, coalesce(p_owner_id, v_user), case when not memoria.caller_is_trusted() then v_user end
    )
    on conflict do nothing returning * into v_event;
  end if;
  if v_event.id is null then
    -- a conflict of ids is never silent, also with who makes it at this instant
    select * into v_event from memoria.events where id = p_event_id;
    if not memoria.may(p_event_id, 'manage') and not memoria.may(p_event_id, 'create') then
      perform memoria.refuse_unknown('event');
    elsif not memoria.may(p_event_id, 'manage') or p_owner_id <> v_event.owner_id then
      raise exception 'An event of this id is there already, and is another''s.' using errcode = 'PT409';
    end if;
  end if;
  return jsonb_build_object('event_id', v_event.id, 'owner_id', v_event.owner_id, 'status', v_event.status);
end
$$;

-- Whether the caller may change who is host: the owner, another host, the service role.
create function memoria.acts_as_host(p_event_id text) returns boolean
language sql stable set search_path = '' as $$
  select memoria.caller_is_trusted() or coalesce(memoria.role_in(p_event_id, (select auth.uid())) = 'host', false)
$$;

-- Raises where a member's role may not be changed by the caller. The event is locked.
create function memoria.check_member_change(p_event memoria.events, p_user_id uuid, p_role text) returns void
language plpgsql set search_path = '' as $$
begin
  if p_user_id is null then
    raise exception 'p_user_id is missing.' using errcode = '22023';
  elsif p_user_id = p_event.owner_id then
    raise exception 'The owner is always host: change the owner instead.' using errcode = 'PT409';
  elsif not memoria.acts_as_host(p_event.id)
    and 'host' in (coalesce(p_role, ''), coalesce(memoria.role_in(p_event.id, p_user_id), '')) then
    raise exception 'Only a host makes or changes hosts.' using errcode = '42501';
  end if;
end
$$;

create function public.memoria_add_member(p_event_id text, p_user_id uuid, p_role text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_event_for(p_event_id, 'manage');
begin
  if p_role is null or p_role not in ('host', 'cohost', 'contributor', 'viewer') then
    raise exception 'p_role is host, cohost, contributor or viewer.' using errcode = '22023';
  end if;
  perform memoria.check_member_change(v_event, p_user_id, p_role);
  insert into memoria.members (event_id, user_id, role, added_by)
  values (p_event_id, p_user_id, p_role, (select auth.uid()))
  on conflict (event_id, user_id) do update set
    role = excluded.role,
    -- whom the owner or the backend says anew is theirs; another's word changes the role alone
    added_by = case
      when excluded.added_by is null or excluded.added_by = v_event.owner_id then excluded.added_by
      else members.added_by
    end;
  return jsonb_build_object('event_id', p_event_id, 'user_id', p_user_id, 'role', p_role);
end
$$;

-- A member may also leave. Whom they let in counts as let in by who had let them in; whom the maker of an event let in
-- who is not its owner, by the maker for ever.
create function public.memoria_remove_member(p_event_id text, p_user_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_leaves boolean := p_user_id = (select auth.uid());
  v_event memoria.events := memoria.lock_event_for(p_event_id, case when v_leaves then 'view' else 'manage' end);
  v_let_in_by uuid;
  v_removed boolean;
begin
  if not v_leaves or p_user_id = v_event.owner_id then
    perform memoria.check_member_change(v_event, p_user_id, null);
  end if;
  delete from memoria.members where event_id = p_event_id and user_id = p_user_id returning added_by into v_let_in_by;
  v_removed := found;
  if v_removed and p_user_id is distinct from v_event.made_by then
    update memoria.members set added_by = v_let_in_by where event_id = p_event_id and added_by = p_user_id;
  end if;
  return jsonb_build_object('event_id', p_event_id, 'user_id', p_user_id, 'removed', v_removed);
end
$$;

-- In the order in which they were added.
create function public.memoria_members(
  p_event_id text, p_after jsonb default null, p_limit integer default 100
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_after timestamptz := coalesce((p_after ->> 'added_at')::timestamptz, '-infinity');
  v_after_id uuid := coalesce(memoria.as_uuid(p_after ->> 'user_id'), '00000000-0000-0000-0000-000000000000');
  v_page memoria.members[];
begin
  perform memoria.authorize(p_event_id, 'manage');
  v_page := array(
    select members from memoria.members
    where event_id = p_event_id and (added_at, user_id) > (v_after, v_after_id)
    order by added_at, user_id limit v_limit + 1
  );
  return jsonb_build_object(
    'event_id', p_event_id,
    'owner_id', (select owner_id from memoria.events where id = p_event_id),
    'members', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'user_id', user_id, 'role', role, 'added_by', added_by, 'added_at', added_at
      ) order by added_at, user_id), '[]')
      from unnest(v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then jsonb_build_object(
      'added_at', v_page[v_limit].added_at, 'user_id', v_page[v_limit].user_id
    ) end
  );
end
$$;

-- By the owner and the service role alone. The former owner keeps no role.
create function public.memoria_set_owner(p_event_id text, p_owner_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_event_for(p_event_id, 'manage');
begin
  if not memoria.caller_is_trusted() and v_event.owner_id is distinct from (select auth.uid()) then
    raise exception 'Only the owner gives an event away.' using errcode = '42501';
  elsif not memoria.caller_is_trusted() and p_owner_id is null then
    raise exception 'p_owner_id is missing.' using errcode = '22023';
  end if;
  delete from memoria.members where event_id = p_event_id and user_id = p_owner_id;
  update memoria.events set owner_id = p_owner_id where id = p_event_id;
  return jsonb_build_object('event_id', p_event_id, 'owner_id', p_owner_id);
end
$$;

-- waiting, running, idle; needs_memory, where the next run waits for a larger instance; or failed, when
-- the last run is dead and none follows.
create function memoria.clustering_state(p_event_id text) returns text
language sql stable set search_path = '' as $$
  select coalesce(
    (
      select case
        when bool_or(status = 'running') then 'running'
        when bool_or(waiting and error_code = 'needs_memory') then 'needs_memory'
        else 'waiting'
      end
      from memoria.jobs
      where event_id = p_event_id and kind = 'cluster' and status in ('queued', 'dispatched', 'running')
      having count(*) > 0
    ),
    (
      select 'failed' from (
        select status from memoria.jobs
        where event_id = p_event_id and kind = 'cluster' and status in ('completed', 'failed')
        order by finished_at desc limit 1
      ) as last_run
      where status = 'failed'
    ),
    'idle'
  )
$$;

create function public.memoria_event_status(p_event_id text) returns jsonb
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
        and relation <> all ((select memoria.tables_without_triggers())::text[])
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

-- Cancels the event's work and purges its vectors at once; names, boxes and people stay. Photos that
-- were not looked at end with that reason. What is owed to the app is still told.
create function public.memoria_archive_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_jobs integer;
  v_faces integer;
begin
  perform memoria.lock_event_for(p_event_id, 'manage');
  update memoria.events set
    status = 'archived', ungrouped_since = null, archive_at = case when archive_at > now() then archive_at end,
    archive_time_by = case when archive_at > now() then archive_time_by end,
    -- the sweeper does as it was told by who set the time
    archived_by = case
      when status = 'archived' then archived_by
      when (select auth.uid()) is null and archive_at <= now() then archive_time_by else (select auth.uid())
    end
  where id = p_event_id;
  update memoria.jobs set
    status = 'cancelled', finished_at = clock_timestamp(), token = null, leased_until = null, payload = null
  where event_id = p_event_id and kind <> 'callback' and status in ('queued', 'dispatched', 'running');
  get diagnostics v_jobs = row_count;
  update memoria.media set
    status = 'failed', completed_at = clock_timestamp(),
    error_code = 'event_archived', error_message = 'The event is archived.'
  where event_id = p_event_id and status = 'pending';
  update memoria.faces set embedding = null where event_id = p_event_id and embedding is not null;
  get diagnostics v_faces = row_count;
  update memoria.persons set centroid = null, centroid_faces = null, mean_length = null
  where event_id = p_event_id and centroid is not null;
  perform memoria.touch_photos(p_event_id);
  perform memoria.tell_progress(p_event_id);
  return jsonb_build_object(
    'event_id', p_event_id, 'status', 'archived', 'jobs_cancelled', v_jobs, 'vectors_purged', v_faces
  );
end
$$;

-- Queues the processing of photos whose event is locked; those that wait or run already stay as they are.
create function memoria.queue_media(p_event_id text, p_media_ids text[]) returns integer
language plpgsql
set search_path = ''
-- thousands of ids are hashed only where the plan knows them
set plan_cache_mode = force_custom_plan
as $$
declare
  v_queued integer;
begin
  update memoria.media
  set status = 'pending', completed_at = null, error_code = null, error_message = null
  where event_id = p_event_id and id = any (p_media_ids) and status <> 'pending';
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', p_event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media where event_id = p_event_id and id = any (p_media_ids)
  order by number
  on conflict do nothing;
  get diagnostics v_queued = row_count;
  perform memoria.touch_photos(p_event_id);
  perform memoria.tell_progress(p_event_id);
  return v_queued;
end
$$;

-- Photos of an archived event that are to be looked at when it is opened again. The event is locked.
create function memoria.put_off_media(p_event_id text, p_media_ids text[]) returns void
language plpgsql set search_path = '' as $$
begin
  update memoria.media set
    status = 'failed', completed_at = clock_timestamp(),
    error_code = 'event_archived', error_message = 'The event is archived.'
  where event_id = p_event_id and id = any (p_media_ids);
  perform memoria.touch_photos(p_event_id);
  perform memoria.tell_progress(p_event_id);
end
$$;

-- Opens an archived event again: the photos whose vectors went, or that were not done, are processed. The event is
-- locked.
create function memoria.open_again(p_event_id text) returns integer
language plpgsql set search_path = '' as $$
declare
  v_queued integer;
begin
  -- one whose time ran out meanwhile would be archived again at once
  update memoria.events set
    status = 'open', archived_by = null, archive_at = case when archive_at > now() then archive_at end,
    archive_time_by = case when archive_at > now() then archive_time_by end
  where id = p_event_id and status = 'archived';
  if not found then
    return 0;
  end if;
  v_queued := memoria.queue_media(p_event_id, array(
    select id from memoria.media
    where event_id = p_event_id and (
      status = 'pending' or error_code = 'event_archived'
      or exists (select from memoria.faces where media_id = media.id and embedding is null)
    )
  ));
  perform memoria.settle_event(p_event_id, v_queued = 0);
  return v_queued;
end
$$;

create function public.memoria_reopen_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.lock_event_for(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'status', 'open', 'queued', memoria.open_again(p_event_id));
end
$$;

-- Removes an event with everything in it.
create function public.memoria_delete_event(p_event_id text) returns jsonb
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
  -- rows that were kept out of it are the sweeper's: they come, where they still name it
  delete from memoria.hand_overs where event_id = p_event_id and not failed;
  delete from memoria.events where id = p_event_id;
  return jsonb_build_object('event_id', p_event_id, 'deleted', true);
end
$$;

-- Groups the event's faces anew, now.
create function public.memoria_recluster(p_event_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'job_id', memoria.cluster_now(p_event_id));
end
$$;

-- Looks at every photo of the event again, for instance with another model.
create function public.memoria_reprocess(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'queued', memoria.queue_media(
    p_event_id, array(select id from memoria.media where event_id = p_event_id)
  ));
end
$$;
