-- What an app does with events and photos.

-- Queues the processing of photos whose event is locked; those that wait or run already stay as they are.
create function memoria.queue_media(p_event_id text, p_media_ids text[]) returns integer
language plpgsql set search_path = '' as $$
declare
  v_queued integer;
begin
  update memoria.media
  set status = 'pending', completed_at = null, error_code = null, error_message = null
  where event_id = p_event_id and id = any (p_media_ids) and status <> 'pending';
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', p_event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media where event_id = p_event_id and id = any (p_media_ids)
  on conflict do nothing;
  get diagnostics v_queued = row_count;
  perform memoria.wake('process');
  return v_queued;
end
$$;

create function public.memoria_create_event(p_event_id text, p_owner_id uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_owner uuid := (select auth.uid());
begin
  if memoria.caller_is_trusted() then
    v_owner := coalesce(p_owner_id, v_owner);
  elsif v_owner is null or p_owner_id <> v_owner then
    raise exception 'An event is made in one''s own name.' using errcode = '42501';
  end if;
  insert into memoria.events (id, owner_id) values (p_event_id, v_owner) on conflict do nothing;
  perform memoria.authorize_event(p_event_id);
  return (
    select jsonb_build_object('event_id', id, 'owner_id', owner_id, 'status', status)
    from memoria.events where id = p_event_id
  );
end
$$;

-- Adds a photo, and its event on first use. A photo that is known keeps its job, unless its place in
-- storage changed or it had failed: then it is processed anew.
create function public.memoria_enqueue(p_media_id text, p_event_id text, p_bucket text, p_path text)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_media memoria.media;
begin
  if not exists (select from memoria.events where id = p_event_id) then
    perform public.memoria_create_event(p_event_id);
  end if;
  perform memoria.authorize_event(p_event_id);
  if exists (select from memoria.events where id = p_event_id and status = 'archived') then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  end if;
  if not memoria.caller_is_trusted() and memoria.can_use_object(p_bucket, p_path) is not true then
    raise exception 'This object is not yours.' using errcode = '42501';
  end if;
  insert into memoria.media (id, event_id, bucket, path)
  values (p_media_id, p_event_id, p_bucket, p_path) on conflict do nothing;
  if not found then
    -- only what is there already needs the event's lock; it may have been deleted before we had it
    perform memoria.lock_event(p_event_id);
    insert into memoria.media (id, event_id, bucket, path)
    values (p_media_id, p_event_id, p_bucket, p_path) on conflict do nothing;
    select * into v_media from memoria.media where id = p_media_id;
    if v_media.event_id <> p_event_id then
      raise exception 'This media item belongs to another event.' using errcode = 'PT409';
    elsif v_media.status <> 'completed' or (v_media.bucket, v_media.path) <> (p_bucket, p_path) then
      update memoria.media set bucket = p_bucket, path = p_path where id = p_media_id;
      perform memoria.queue_media(p_event_id, array[p_media_id]);
    end if;
  end if;
  return (
    select jsonb_build_object(
      'job_id', id, 'media_id', media_id, 'event_id', event_id, 'status', status
    )
    from memoria.jobs where kind = 'process' and media_id = p_media_id
    order by finished_at desc nulls first, created_at desc limit 1
  );
end
$$;

create function public.memoria_event_status(p_event_id text) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
  perform memoria.authorize_event(p_event_id);
  return (
    select jsonb_build_object(
      'event_id', events.id, 'status', events.status, 'clustered_at', events.clustered_at,
      'photos', photos.counts,
      'faces', (select count(*) from memoria.faces where event_id = p_event_id),
      'people', (
        select count(distinct person_id) from memoria.faces where event_id = p_event_id
      ),
      'clustering', coalesce(clustering.status, 'idle'),
      -- nothing is left to do, and the people are those of all photos
      'done', photos.pending = 0 and clustering.status is null,
      'failures', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'media_id', id, 'code', error_code, 'message', error_message
        ) order by id), '[]')
        from memoria.media where event_id = p_event_id and status = 'failed'
      )
    )
    from memoria.events
    cross join lateral (
      select count(*) filter (where status = 'pending') as pending, jsonb_build_object(
        'total', count(*),
        'pending', count(*) filter (where status = 'pending'),
        'completed', count(*) filter (where status = 'completed'),
        'failed', count(*) filter (where status = 'failed')
      ) as counts
      from memoria.media where event_id = p_event_id
    ) as photos
    left join lateral (
      select case when bool_or(status = 'running') then 'running' else 'waiting' end as status
      from memoria.jobs
      where kind = 'cluster' and event_id = p_event_id and status in ('queued', 'dispatched', 'running')
      having count(*) > 0
    ) as clustering on true
    where events.id = p_event_id
  );
end
$$;

-- The photos of an event with their faces; no vectors.
create function public.memoria_media(p_event_id text) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
as $$
begin
  perform memoria.authorize_event(p_event_id);
  return (
    select jsonb_build_object('event_id', p_event_id, 'media', coalesce(jsonb_agg(jsonb_build_object(
      'media_id', media.id, 'bucket', bucket, 'path', path, 'status', media.status,
      'width', width, 'height', height, 'model', media.model,
      'error', case when media.status = 'failed'
        then jsonb_build_object('code', error_code, 'message', error_message) end,
      'faces', coalesce(found.faces, '[]')
    ) order by media.created_at, media.id), '[]'))
    from memoria.media
    left join (
      select media_id, jsonb_agg(jsonb_build_object(
        'face_id', faces.id, 'bbox', memoria.face_box(faces), 'quality_score', quality,
        'landmarks', memoria.named_landmarks(landmarks), 'person_id', person_id
      ) order by quality desc, faces.id) as faces
      from memoria.faces where event_id = p_event_id group by media_id
    ) as found on found.media_id = media.id
    where media.event_id = p_event_id
  );
end
$$;

-- Groups the event's faces anew, as soon as all its photos are done.
create function public.memoria_recluster(p_event_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  perform memoria.lock_open_event(p_event_id);
  return jsonb_build_object(
    'event_id', p_event_id, 'job_id', memoria.queue_cluster(p_event_id, interval '0')
  );
end
$$;

-- Looks at every photo of the event again, for instance with another model.
create function public.memoria_reprocess(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.lock_open_event(p_event_id);
  return jsonb_build_object('event_id', p_event_id, 'queued', memoria.queue_media(
    p_event_id, array(select id from memoria.media where event_id = p_event_id)
  ));
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function
  public.memoria_create_event(text, uuid),
  public.memoria_enqueue(text, text, text, text),
  public.memoria_event_status(text),
  public.memoria_media(text),
  public.memoria_recluster(text),
  public.memoria_reprocess(text)
from public, anon;
grant execute on function
  public.memoria_create_event(text, uuid),
  public.memoria_enqueue(text, text, text, text),
  public.memoria_event_status(text),
  public.memoria_media(text),
  public.memoria_recluster(text),
  public.memoria_reprocess(text)
to authenticated, service_role;
