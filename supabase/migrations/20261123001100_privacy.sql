-- What goes when a photo or an event goes.

-- The vectors of people of whom no face is left.
create function memoria.purge_empty_centroids(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.persons set centroid = null
  where event_id = p_event_id and centroid is not null
    and not exists (select from memoria.faces where identity_id = persons.id)
$$;

-- Cancels the event's work and purges its vectors at once; names, boxes and people stay.
create function public.memoria_archive_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_jobs integer;
  v_faces integer;
begin
  perform memoria.authorize_event(p_event_id);
  perform memoria.lock_event(p_event_id);
  update memoria.events set status = 'archived' where id = p_event_id;
  update memoria.jobs set
    status = 'cancelled', finished_at = clock_timestamp(), token = null, leased_until = null, payload = null
  where event_id = p_event_id and status in ('queued', 'dispatched', 'running');
  get diagnostics v_jobs = row_count;
  update memoria.faces set embedding = null where event_id = p_event_id and embedding is not null;
  get diagnostics v_faces = row_count;
  update memoria.persons set centroid = null where event_id = p_event_id and centroid is not null;
  perform memoria.wake(kind) from unnest(array['process', 'cluster', 'callback']) as kind;
  return jsonb_build_object(
    'event_id', p_event_id, 'status', 'archived', 'jobs_cancelled', v_jobs, 'vectors_purged', v_faces
  );
end
$$;

-- Opens an archived event again: the photos whose vectors went, or that were not done, are processed.
create function public.memoria_reopen_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_queued integer := 0;
begin
  perform memoria.authorize_event(p_event_id);
  if (memoria.lock_event(p_event_id)).status = 'archived' then
    update memoria.events set status = 'open' where id = p_event_id;
    v_queued := memoria.queue_media(p_event_id, array(
      select id from memoria.media
      where event_id = p_event_id and (
        status = 'pending'
        or exists (select from memoria.faces where media_id = media.id and embedding is null)
      )
    ));
    perform memoria.settle_event(p_event_id);
  end if;
  return jsonb_build_object('event_id', p_event_id, 'status', 'open', 'queued', v_queued);
end
$$;

-- Removes a photo with its faces, corrections, jobs and callbacks; who remains is clustered anew.
create function public.memoria_delete_media(p_media_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event text := (select event_id from memoria.media where id = p_media_id);
begin
  perform memoria.authorize_event(v_event);
  if (memoria.lock_event(v_event)).status = 'open' then
    delete from memoria.media where id = p_media_id;
    perform memoria.settle_event(v_event);
  else
    delete from memoria.media where id = p_media_id;
  end if;
  perform memoria.drop_empty_people(v_event);
  perform memoria.purge_empty_centroids(v_event);
  perform memoria.refresh_people(v_event);
  perform memoria.wake('process');
  return jsonb_build_object('media_id', p_media_id, 'event_id', v_event, 'deleted', true);
end
$$;

-- Removes an event with everything in it.
create function public.memoria_delete_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.authorize_event(p_event_id);
  delete from memoria.events where id = p_event_id;
  perform memoria.wake(kind) from unnest(array['process', 'cluster', 'callback']) as kind;
  return jsonb_build_object('event_id', p_event_id, 'deleted', true);
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function
  public.memoria_archive_event(text),
  public.memoria_reopen_event(text),
  public.memoria_delete_media(text),
  public.memoria_delete_event(text)
from public, anon;
grant execute on function
  public.memoria_archive_event(text),
  public.memoria_reopen_event(text),
  public.memoria_delete_media(text),
  public.memoria_delete_event(text)
to authenticated, service_role;
